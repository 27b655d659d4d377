"""The events that the server sends. ``Event`` is the union of all, ``RoomEvent`` of those that take a ``seq``."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from chat.wire.things import ErrorBody, Flow, Limits, Member, Message, Room, RoomState, User


class _Event(Struct, frozen=True, tag_field="type", kw_only=True):
    pass


class ReplyEvent(_Event, frozen=True, kw_only=True, tag="reply"):
    """The one answer to a command: ``result`` when ``ok``, ``error`` otherwise."""

    ref: int
    ok: bool
    result: Any = UNSET
    error: ErrorBody | UnsetType = UNSET


class Hello(_Event, frozen=True, kw_only=True, tag="hello"):
    protocol: int
    user: User
    server: str
    heartbeat_s: float
    limits: Limits
    flow: Flow | None
    rooms: list[RoomState]
    rooms_version: int
    more: bool = False
    features: list[str] = []


class _RoomEvent(_Event, frozen=True, kw_only=True):
    """A durable change: it has taken the room's next ``seq``. ``prev`` absent means ``seq`` - 1.

    ``run`` names the run of the database that ``seq`` was given in; absent, it is that of ``prev``.
    ``upto`` is there if the event was read from the room's state at that seq: what is past ``prev`` and not in this
    event stands in those up to there.
    """

    room: str
    seq: int
    prev: int | UnsetType = UNSET
    run: str | UnsetType = UNSET
    upto: int | UnsetType = UNSET


class MessagePosted(_RoomEvent, frozen=True, kw_only=True, tag="message.posted"):
    message: Message


class MessageChanged(_RoomEvent, frozen=True, kw_only=True, tag="message.changed"):
    message: Message


class RoomChanged(_RoomEvent, frozen=True, kw_only=True, tag="room.changed"):
    state: Room


class _MemberEvent(_RoomEvent, frozen=True, kw_only=True):
    """``member_count`` is the room's: clients can't count members from events, because not all of them arrive."""

    member: Member
    by: User | UnsetType = UNSET
    member_count: int | UnsetType = UNSET


class MemberJoined(_MemberEvent, frozen=True, kw_only=True, tag="member.joined"):
    pass


class MemberChanged(_MemberEvent, frozen=True, kw_only=True, tag="member.changed"):
    pass


class MemberLeft(_MemberEvent, frozen=True, kw_only=True, tag="member.left"):
    pass


class Changes(_Event, frozen=True, kw_only=True, tag="changes"):
    """One page of a catch-up. ``mine`` maps a message id to the caller's own reactions to it."""

    room: str
    epoch: str
    messages: list[Message]
    mine: dict[str, list[str]]
    members: list[Member]
    state: Room | None


class Synced(_Event, frozen=True, kw_only=True, tag="synced"):
    """``run`` is the run of the database that ``seq`` was given in; absent for numbers from before there were runs."""

    room: str
    epoch: str
    seq: int
    run: str | UnsetType = UNSET


class Reset(_Event, frozen=True, kw_only=True, tag="reset"):
    """``run``: as in ``synced``."""

    room: str
    epoch: str
    seq: int
    reason: Literal["new", "too_far", "epoch"]
    state: RoomState
    run: str | UnsetType = UNSET


class RoomAdded(_Event, frozen=True, kw_only=True, tag="room.added"):
    state: RoomState
    rooms_version: int


class RoomRemoved(_Event, frozen=True, kw_only=True, tag="room.removed"):
    room: str
    rooms_version: int


class Heads(_Event, frozen=True, kw_only=True, tag="heads"):
    rooms: dict[str, int]
    rooms_version: int
    server_time: str


class ReadChanged(_Event, frozen=True, kw_only=True, tag="read.changed"):
    room: str
    read: int
    unread: int
    mentions: int
    rev: int


class Notice(_Event, frozen=True, kw_only=True, tag="notice"):
    payload: Any


class TypingChanged(_Event, frozen=True, kw_only=True, tag="typing"):
    room: str
    user: str
    active: bool


class PresenceTold(_Event, frozen=True, kw_only=True, tag="presence"):
    """Who of the people in the rooms that the connection follows is connected, and how many members of these rooms are;
    None if that is not known.

    A status is online, away, offline or unknown. Clients take any word: a later server may know others.
    """

    users: dict[str, str]
    online: dict[str, int | None] = {}


class Lagging(_Event, frozen=True, kw_only=True, tag="lagging"):
    rooms: list[str]


class Drain(_Event, frozen=True, kw_only=True, tag="drain"):
    reconnect_in_ms: int


class ErrorEvent(_Event, frozen=True, kw_only=True, tag="error"):
    error: ErrorBody


RoomEvent = MessagePosted | MessageChanged | RoomChanged | MemberJoined | MemberChanged | MemberLeft
Event = (
    ReplyEvent
    | Hello
    | MessagePosted
    | MessageChanged
    | RoomChanged
    | MemberJoined
    | MemberChanged
    | MemberLeft
    | Changes
    | Synced
    | Reset
    | RoomAdded
    | RoomRemoved
    | Heads
    | ReadChanged
    | Notice
    | TypingChanged
    | PresenceTold
    | Lagging
    | Drain
    | ErrorEvent
)
