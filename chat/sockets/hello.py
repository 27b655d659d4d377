"""The first event of a signed-in connection: who it belongs to, the limits, and the person's rooms."""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from chat.access import reads, serializers
from chat.conf import conf
from chat.process import Process
from chat.runtime import pools
from chat.wire import protocol
from chat.wire.features import FEATURES
from chat.wire.position import Position

RECEIVED_BYTES = 256 * 1024
"""``hello.flow``: a client also acknowledges after so many bytes, so that long messages do not fill the window."""


@dataclass(frozen=True)
class Greeting:
    """The first event of a signed-in connection, encoded; and what it says of the person and the rooms."""

    encoded: bytes
    person: protocol.User
    rooms_version: int
    rooms: dict[int, Position]


async def greeting(process: Process, user: Any, *, asks_for_received: bool) -> Greeting:
    """Read what ``hello`` tells a person."""
    person, (states, more, version) = await pools.readers.run_for(str(user.pk), _read, user)
    event = protocol.Hello(
        protocol=protocol.VERSION,
        user=person,
        server=process.hub.incarnation,
        heartbeat_s=conf.heartbeat_s,
        limits=protocol.Limits(
            frame_bytes=conf.frame_bytes,
            body_chars=conf.body_chars,
            sync_rooms=conf.sync_rooms,
            history=conf.history_messages,
            catch_up=conf.catch_up,
            unanswered=conf.unanswered,
            deadline_s=conf.deadline_s,
        ),
        flow=_flow() if asks_for_received else None,
        rooms=states,
        rooms_version=version,
        more=more,
        features=list(FEATURES),
    )
    return Greeting(protocol.encode(event), person, version, {int(each.id): _position(each) for each in states})


def _flow() -> protocol.Flow:
    return protocol.Flow(frames=conf.received_frames, seconds=conf.received_s, bytes=RECEIVED_BYTES)


def _position(state: protocol.RoomState) -> Position:
    return Position(state.epoch, state.seq, "" if state.run is UNSET else state.run)


def _read(user: Any) -> tuple[protocol.User, tuple[list[protocol.RoomState], bool, int]]:
    # A host's policy may query the database for a name, so the name is made here too, off the event loop.
    return serializers.user(user), reads.hello(user)
