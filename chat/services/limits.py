"""How often one person may change something, in this process.

The limit is asked before the work: a command that is over it renders nothing, reads nothing from the database and puts
nothing into the writer's queue.
"""

import time
from functools import cache
from typing import Any

from django.core.signals import setting_changed

from chat.conf import conf
from chat.runtime.rates import RateLimit
from chat.wire import protocol
from chat.wire.errors import RateLimited

COSTS: dict[type[Any], float] = {
    protocol.PostMessage: 1,
    protocol.EditMessage: 2.5,
    protocol.DeleteMessage: 1,
    protocol.AddReaction: 1,
    protocol.RemoveReaction: 1,
    protocol.CreateRoom: 5,
    protocol.OpenDirect: 2.5,
    protocol.UpdateRoom: 5,
    protocol.JoinRoom: 2.5,
    protocol.LeaveRoom: 2.5,
    protocol.AddMember: 1,
    protocol.RemoveMember: 1,
    protocol.ChangeRole: 1,
    protocol.Read: 1,
}
"""What one command takes of its kind's limit: of ``CHAT["POST_BURST"]`` for posts, of ``CHAT["CHANGE_BURST"]`` for each
other kind. Commands that render a text, write many rows or are told to everybody cost more."""


def ask(user_id: str, command: Any) -> None:
    """Count one command of this person that changes something.

    Raises:
        RateLimited: They have used up what they may do at once. What is refused for that is not counted.
    """
    wait_s = _limits()[type(command)].wait_s(user_id, time.monotonic(), COSTS[type(command)])
    if wait_s:
        raise RateLimited(retry_after_ms=round(wait_s * 1000) + 1)


@cache
def _limits() -> dict[type[Any], RateLimit]:
    limits = {kind: RateLimit(conf.change_rate, conf.change_burst) for kind in COSTS}
    return limits | {protocol.PostMessage: RateLimit(conf.post_rate, conf.post_burst)}


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CHAT":
        _limits.cache_clear()


setting_changed.connect(_forget)
