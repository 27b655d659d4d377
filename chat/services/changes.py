"""What the writer stores: a change, and how long it is wanted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat.conf import conf
from chat.runtime import elapsed
from chat.services.posting import Post
from chat.services.read_pointers import Move


@dataclass(frozen=True, slots=True)
class Call:
    """Any service call but a post. It may be run twice, so it must be repeatable.

    ``room_id`` or ``message_id`` names the room whose log it changes; neither names a room that is yet to be made.
    """

    by: Any
    run: Callable[[], Any]
    room_id: int | None = None
    message_id: int | None = None


Change = Post | Call | Move
COMMIT_S = 2.0
"""How long a COMMIT may take. Nothing can be called back once it is sent."""


def kept_s() -> float:
    """For how long after its arrival a change is tried.

    What a server has begun by then ends before ``CHAT["DEADLINE_S"]``: a process that is frozen before its COMMIT loses
    its transaction after ``CHAT["IDLE_TRANSACTION_S"]``.
    """
    return max(1.0, conf.deadline_s - conf.idle_transaction_s - COMMIT_S)


def never() -> bool:
    """Not abandoned, whatever happens."""
    return False


@dataclass(slots=True, eq=False)
class Job:
    """A change that waits to be stored.

    A post that its sender may take for lost must not be stored later: they may have been told since, by another
    process, that it was refused for good.
    """

    change: Change
    ends_at: float = math.inf
    """When it is given up, by ``runtime.elapsed``."""
    is_abandoned: Callable[[], bool] = never
    """Whether nobody waits for the answer any more. Asked from the writer's thread."""
    locked_since: float | None = None
    """Since when another process has held the lock of its room, or of another row that it needs."""

    @property
    def person(self) -> str:
        return str(self.change.by.pk)

    @property
    def is_over(self) -> bool:
        """Whether it may not be stored any more."""
        return elapsed.now() >= self.ends_at or self.is_abandoned()
