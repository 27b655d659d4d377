"""What processes tell each other through the channel layer, and how it is written there.

Hints, not truth: one may be lost, doubled or late (docs/architecture.md). Each has a group that it goes to, and the
same object serves the hub of the process where it arose.
"""

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, get_args

import msgspec

from chat.wire.feed_event import FeedEvent

ALL = "chat.all"
PLAIN_KEY = re.compile(r"[A-Za-z0-9-]{1,40}")


def room_group(room_id: int) -> str:
    return f"chat.room.{room_id}"


def user_group(user_id: str) -> str:
    # Group names take 99 ASCII letters, digits, hyphens, underscores and periods; a host's key may be anything.
    if not PLAIN_KEY.fullmatch(user_id):
        user_id = hashlib.sha256(user_id.encode()).hexdigest()
    return f"chat.user.{user_id}"


class _Id(msgspec.Struct):
    id: str


class _Moved(msgspec.Struct):
    """What ``room.added`` and ``room.removed`` say of the room."""

    room: str | None = None
    state: _Id | None = None


@dataclass(frozen=True)
class _Hint:
    kind: ClassVar[str]

    def to_layer(self) -> dict[str, Any]:
        """As a message of the channel layer; ``from_layer`` reads it."""
        return {"type": self.kind, **asdict(self)}


@dataclass(frozen=True)
class _ToRoom(_Hint):
    room_id: int

    @property
    def group(self) -> str:
        return room_group(self.room_id)


@dataclass(frozen=True)
class _ToPerson(_Hint):
    user_id: str

    @property
    def group(self) -> str:
        return user_group(self.user_id)


@dataclass(frozen=True)
class _ToAll(_Hint):
    @property
    def group(self) -> str:
        return ALL


@dataclass(frozen=True)
class RoomEvents(_ToRoom):
    """Durable changes of one room, in order."""

    kind: ClassVar[str] = "room.events"
    epoch: str
    events: list[FeedEvent]

    def to_layer(self) -> dict[str, Any]:
        rows = [(each.seq, each.prev, each.encoded, each.leaver, each.run, each.run_before) for each in self.events]
        return {"type": self.kind, "room_id": self.room_id, "epoch": self.epoch, "events": rows}


@dataclass(frozen=True)
class RoomTransient(_ToRoom):
    """Something passing, for everybody who watches a room: typing, a notice. ``except_user`` does not get it."""

    kind: ClassVar[str] = "room.transient"
    encoded: bytes
    except_user: str | None = None


@dataclass(frozen=True)
class CompareRoom(_ToRoom):
    """A room was deleted or made private: compare it now, so that its audience loses it at once."""

    kind: ClassVar[str] = "room.compare"


@dataclass(frozen=True)
class ToUser(_ToPerson):
    """An event for all connections of one person except ``except_connection``."""

    kind: ClassVar[str] = "user.event"
    encoded: bytes
    except_connection: str | None = None


@dataclass(frozen=True)
class RoomsMoved(_ToPerson):
    """A person joined or left a room: their ``rooms_version`` rose, and ``encoded`` is the event that says so."""

    kind: ClassVar[str] = "user.rooms"
    encoded: bytes
    rooms_version: int

    @property
    def room_id(self) -> int:
        event = msgspec.json.decode(self.encoded, type=_Moved)
        return int(event.room or (event.state.id if event.state else 0))


@dataclass(frozen=True)
class Recheck(_ToPerson):
    """A person's access may have changed: check their sockets now, not in a minute."""

    kind: ClassVar[str] = "user.recheck"


@dataclass(frozen=True)
class RecheckRoom(_ToRoom):
    """Access to one room may have changed, for its whole audience or, if given, for ``user_ids`` among it."""

    kind: ClassVar[str] = "room.recheck"
    user_ids: list[str] | None


@dataclass(frozen=True)
class SessionEnded(_ToPerson):
    """A person signed out. ``session`` is a digest: the session key itself never leaves the process."""

    kind: ClassVar[str] = "user.session_ended"
    session: str


@dataclass(frozen=True)
class CompareHeads(_ToAll):
    """Changes may have been committed without a hint: every process compares its feeds with the database."""

    kind: ClassVar[str] = "everybody.compare"


@dataclass(frozen=True)
class ToEverybody(_ToAll):
    """An event for every connection."""

    kind: ClassVar[str] = "everybody.event"
    encoded: bytes


@dataclass(frozen=True)
class RatesTaken(_ToAll):
    """What people have used of their limits in one process within a second, as (limit, person, cost)."""

    kind: ClassVar[str] = "everybody.rates"
    taken: list[tuple[str, str, float]]


@dataclass(frozen=True)
class PresenceChanged(_ToAll):
    """Who has come to a process, gone from it ("offline") or changed there within a second."""

    kind: ClassVar[str] = "everybody.presence"
    process: str
    people: dict[str, str]


@dataclass(frozen=True)
class PresenceState(_ToAll):
    """Everybody who is connected to a process, in parts."""

    kind: ClassVar[str] = "everybody.presence_state"
    process: str
    part: int
    parts: int
    people: dict[str, str]


@dataclass(frozen=True)
class PresenceAsked(_ToAll):
    """A process knows nothing yet, or nothing any more: the others tell it whom they have.

    It comes back to the process that has sent it, which then knows that it hears what all are told.
    """

    kind: ClassVar[str] = "everybody.presence_asked"
    process: str


Hint = (
    RoomEvents
    | RoomTransient
    | CompareRoom
    | RecheckRoom
    | ToUser
    | RoomsMoved
    | Recheck
    | SessionEnded
    | CompareHeads
    | ToEverybody
    | RatesTaken
    | PresenceChanged
    | PresenceState
    | PresenceAsked
)
SHED_FIRST = (RoomTransient, RatesTaken, PresenceChanged, PresenceState, PresenceAsked)
_KINDS: dict[str, type[Any]] = {each.kind: each for each in get_args(Hint)}


def from_layer(message: dict[str, Any]) -> Hint:
    """The hint that ``to_layer`` wrote.

    Raises:
        KeyError, TypeError: The message is not a hint, or is one of another version.
    """
    fields = {name: value for name, value in message.items() if name != "type"}
    fields.pop("origin", None)
    if "events" in fields:
        fields["events"] = [FeedEvent(*row) for row in fields["events"]]
    encoded = [each.encoded for each in fields.get("events", ())] + [fields.get("encoded", b"")]
    if not all(isinstance(each, bytes) for each in encoded):
        raise TypeError("Events travel as bytes; use a serializer that keeps them, such as msgpack.")
    return _KINDS[message["type"]](**fields)  # type: ignore[no-any-return]
