"""Bugs that a run can be given, to see that it finds them: the negative controls of ``torture``.

``TORTURE_BUG`` names one. Nothing but this module reads it, and product code knows nothing of it: the bug is patched
into the server's process (``torture/server.py``), or into the clients of the run itself.
"""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock
from uuid import uuid4

COMMIT_TAKES_S = 0.005
"""How much sooner than its commit a change is told of. A loaded server takes as long."""


@dataclass(frozen=True)
class Bug:
    """``found_by``: the invariants that can show it; one is enough."""

    what: str
    scenario: str
    found_by: frozenset[str]
    install: Callable[[], None] | None = None
    """Patches the server's process."""
    in_client: Callable[[], AbstractContextManager[Any]] | None = None
    """Patches the clients of this process, for as long as the context lasts."""
    database: str = "sqlite"


def _publish_before_commit() -> None:
    from chat.models import database

    def at_once(hook: Callable[[], None]) -> None:
        hook()
        time.sleep(COMMIT_TAKES_S)

    database.on_commit = at_once


def _no_dedupe() -> None:
    from chat.services import posting

    find_stored = posting._Batch._find_stored

    def nothing_is_known(batch: Any) -> dict[Any, Any]:
        known = find_stored(batch)
        for post in batch._posts:
            if batch._key(post) in known:
                post.client_id = uuid4()  # past the database's own constraint
        return {}

    posting._Batch._find_stored = nothing_is_known  # type: ignore[method-assign]


def _cursor_past_gap() -> AbstractContextManager[Any]:
    from chat.client.core.cursor import RoomCursor

    def follows_always(self: RoomCursor, event: Any) -> bool:
        return self.position is not None and event.seq > self.position.seq

    return mock.patch.object(RoomCursor, "_follows", follows_always)


def _no_heads() -> None:
    from chat.live.reconciler import Reconciler

    async def compares_nothing(self: Any, room_ids: list[int]) -> None:
        return None

    Reconciler._compare = compares_nothing  # type: ignore[method-assign]


def _ack_before_commit() -> None:
    from chat.services import batch, posting, writer

    run, post_many = batch.run, posting.post_many
    waiting_jobs: list[Any] = []

    def remembered(jobs: Any) -> Any:
        waiting_jobs[:] = jobs
        return run(jobs)

    def answered_early(posts: Any, **options: Any) -> Any:
        outcomes = post_many(posts, **options)
        early = {id(post): outcome for post, outcome in zip(posts, outcomes, strict=True)}
        writer._answer([(job, early[id(job.change)]) for job in waiting_jobs if id(job.change) in early])
        time.sleep(COMMIT_TAKES_S)
        return outcomes

    batch.run = remembered
    posting.post_many = answered_early


def _sequence_per_process() -> None:
    from chat.services import sequence

    next_seq = sequence.next_seq
    last: dict[int, int] = {}

    def from_memory(room: Any) -> int:
        room.head = last.get(room.pk, room.head)
        last[room.pk] = next_seq(room)
        return last[room.pk]

    sequence.next_seq = from_memory


def _epoch_not_renewed() -> None:
    from chat.services import rooms, sequence

    sequence.current_run = lambda: "the only one"
    rooms.renew_epoch = lambda room_id, epoch: None


BUGS = {
    "publish_before_commit": Bug(
        "others are told of a change before it is committed",
        "rollbacks",
        frozenset({"I4"}),
        _publish_before_commit,
        database="postgresql",
    ),
    "no_dedupe": Bug(
        "a repeat of a message is stored again",
        "commit-unknown",
        frozenset({"I2"}),
        _no_dedupe,
        database="postgresql",
    ),
    "cursor_past_gap": Bug(
        "the client goes on past an event that it has not got",
        "lost-frames",
        frozenset({"I4", "I5"}),
        in_client=_cursor_past_gap,
    ),
    "no_heads": Bug("feeds are never compared with the database", "last-hint", frozenset({"I5", "I11"}), _no_heads),
    "ack_before_commit": Bug(
        "the sender is told that a message is stored before it is",
        "rollbacks",
        frozenset({"I1", "I4"}),
        _ack_before_commit,
        database="postgresql",
    ),
    "sequence_per_process": Bug(
        "each process counts a room's seqs for itself", "two-writers", frozenset({"I3", "I11"}), _sequence_per_process
    ),
    "epoch_not_renewed": Bug(
        "a database that lost its newest changes goes on as if nothing had happened",
        "lost-tail",
        frozenset({"I4", "I5"}),
        _epoch_not_renewed,
        database="postgresql",
    ),
}


def chosen() -> Bug | None:
    name = os.environ.get("TORTURE_BUG", "")
    return BUGS[name] if name else None


def install_in_server() -> None:
    if (bug := chosen()) is not None and bug.install is not None:
        bug.install()


def in_client(name: str) -> AbstractContextManager[Any]:
    """Give this process's clients the bug ``name``, if it is one of clients, for as long as the context lasts."""
    bug = BUGS[name] if name else None
    return bug.in_client() if bug and bug.in_client else nullcontext()
