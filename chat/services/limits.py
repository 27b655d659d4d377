"""How often one person may change something, read something, connect or request a page.

Each process counts for itself and is told each second what the others have counted (``process.py``). So a person has
their burst in each process, and their rate over all of them; with the channel layer down, in each.

The limit is checked before the work: for a command that is over it, nothing is rendered, read from the database or put
into the writer's queue.
"""

import time
from collections.abc import Iterable
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


READ_COSTS: dict[type[Any], float] = {
    protocol.Auth: 5,
    protocol.History: 1,
    protocol.ListMembers: 1,
    protocol.ListRooms: 2,
    protocol.SetPresence: 1,
}
"""What one command takes of the limit that all commands have together which only read: ``CHAT["READ_BURST"]``."""
NO_TOKEN = 1
"""What an ``auth`` without a token takes of it. It is cheap, because no token is looked up."""
SYNC_COSTS: dict[type[Any], float] = {protocol.Sync: 5, protocol.Unsync: 0}
"""What ``sync`` takes of its limit, ``CHAT["SYNC_BURST"]``; each of its rooms takes one more. Other reads do not share
it, because a person's pages all need it at the same moment, after a restart. ``unsync`` costs nothing: a client that
could not stop what it follows would be sent more."""

TOLD_AT_MOST = 500
"""Entries of one message to the other processes."""
PASSWORD_RATE, PASSWORD_BURST = 1 / 60, 5
"""How often one person may give their password again."""
TEXT_OWED = 40
"""How many bursts of text somebody may owe: as much as 20 sockets can bring before each of them is paused, so that the
rate holds for them all."""
PACE_RATE, PACE_BURST = 8, 0.05
"""Of ``CHAT["FRAME_RATE"]`` and ``CHAT["FRAME_BURST"]``: how fast frames are read at most, and how many at once."""
FRAMES_OWED = 20
"""The same as ``TEXT_OWED``, for frames."""
PAUSED_AT_LEAST_S = 0.01
REFUSAL_RATE, REFUSAL_BURST = 0.5, 5
"""How often one person is refused a page with another page. It takes as long to render as most, so a flood of requests
is answered with a line of text."""


def ask(user_id: str, command: Any) -> None:
    """Count one command of this person.

    Raises:
        RateLimited: They have used up what they may do at once. What is refused for that is not counted.
    """
    if wait_s := _limits()[_name_of(type(command))].wait_s(user_id, time.monotonic(), _cost(command)):
        raise RateLimited(retry_after_ms=round(wait_s * 1000) + 1)


def _cost(command: Any) -> float:
    kind = type(command)
    if kind is protocol.Sync:
        return SYNC_COSTS[kind] + len(command.rooms)
    if kind is protocol.Auth and command.token is None:
        return NO_TOKEN
    return COSTS.get(kind) or READ_COSTS.get(kind) or SYNC_COSTS[kind]


def may_shake_hands(network: str) -> bool:
    """Count a handshake from an address, whoever it is; False if too many have come from there lately."""
    return not _handshakes().wait_s(network, time.monotonic())


def may_connect(user_id: str) -> bool:
    """Count a new socket of this person; False if they have opened too many lately."""
    return not _limits()["sockets"].wait_s(user_id, time.monotonic())


def page_wait_s(user_id: str, *, is_act: bool) -> float:
    """Count a page that this person requests, or an act by a form; or return the seconds until it is allowed."""
    return _limits()["acts" if is_act else "pages"].wait_s(user_id, time.monotonic())


def password_wait_s(user_id: str) -> float:
    """Count a password that this person gives again, or return the seconds until they may try once more."""
    return _limits()["passwords"].wait_s(user_id, time.monotonic())


def may_be_shown_refusal(user_id: str) -> bool:
    """Count a page that says to this person that they ask too often; False if they have had enough of them lately."""
    return not _refusals().wait_s(user_id, time.monotonic())


def may_send(sender: str) -> bool:
    """Count a frame, whatever it holds; False if too many have come from this sender lately.

    Args:
        sender: The id of a person or, before the sign-in, what stands for whoever sends.
    """
    return not _frames().wait_s(sender, time.monotonic())


def pace_s(sender: str) -> float:
    """Count a frame that may be sent, and return for how many seconds no more should be read of this socket.

    To parse, refuse and answer a hundred small commands takes the event loop a twentieth of a second; a read brings
    more than that, and a flood a thousand before it is cut off.
    """
    wait_s = _pace().owe(sender, time.monotonic(), 1, bursts=FRAMES_OWED)
    return wait_s if wait_s >= PAUSED_AT_LEAST_S else 0.0


def pause_s(sender: str, size: int) -> float:
    """Count the characters of a frame, and return for how many seconds no more should be read of this socket.

    To unmask and decode 10,000 characters takes the event loop half a millisecond: 20 sockets full of them held up
    everybody for half a second.
    """
    return _text().owe(sender, time.monotonic(), size, bursts=TEXT_OWED)


def taken() -> list[tuple[str, str, float]]:
    """What people have used of their limits in this process since the last call, as (limit, person, cost).

    Those who used little are left out, and so is what does not fit into one message.
    """
    now_taken = [(name, str(key), cost) for name, limit in _limits().items() for key, cost in limit.taken()]
    return sorted(now_taken, key=lambda each: -each[2])[:TOLD_AT_MOST]


def take_elsewhere(taken: Iterable[tuple[str, str, float]]) -> None:
    """Count what other processes have granted."""
    now = time.monotonic()
    for name, user_id, cost in taken:
        if (limit := _limits().get(name)) is not None:  # the other process may be of another version
            limit.take_elsewhere(user_id, cost, now)


def _name_of(kind: type[Any]) -> str:
    if kind in READ_COSTS:
        return "reads"
    return "syncs" if kind in SYNC_COSTS else str(kind.__struct_config__.tag)


@cache
def _limits() -> dict[str, RateLimit]:
    """All that processes tell each other of; frames are a matter of the sockets here."""
    return {
        **{_name_of(kind): RateLimit(conf.change_rate, conf.change_burst) for kind in COSTS},
        _name_of(protocol.PostMessage): RateLimit(conf.post_rate, conf.post_burst),
        "reads": RateLimit(conf.read_rate, conf.read_burst),
        "syncs": RateLimit(conf.sync_rate, conf.sync_burst),
        "sockets": RateLimit(conf.socket_rate, conf.socket_burst),
        "pages": RateLimit(conf.page_rate, conf.page_burst),
        "acts": RateLimit(conf.change_rate, conf.change_burst),
        "passwords": RateLimit(PASSWORD_RATE, PASSWORD_BURST),
    }


@cache
def _handshakes() -> RateLimit:
    return RateLimit(conf.handshake_rate, conf.handshake_burst)


@cache
def _frames() -> RateLimit:
    return RateLimit(conf.frame_rate, conf.frame_burst)


@cache
def _pace() -> RateLimit:
    return RateLimit(PACE_RATE * conf.frame_rate, max(1, round(PACE_BURST * conf.frame_burst)))


@cache
def _text() -> RateLimit:
    return RateLimit(conf.text_rate, conf.text_burst)


@cache
def _refusals() -> RateLimit:
    return RateLimit(REFUSAL_RATE, REFUSAL_BURST)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CHAT":
        for each in (_limits, _handshakes, _frames, _pace, _text, _refusals):
            each.cache_clear()


setting_changed.connect(_forget)
