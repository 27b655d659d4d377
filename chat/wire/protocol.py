"""Protocol version 1: every object, command and event on the wire, and the two functions that read and write them.

The only module that knows JSON keys (docs/protocol.md). Pure: no Django, no sockets, no clock. Server and Python
client share it: the server decodes commands strictly (what it does not know it rejects), a client decodes events
leniently (what it does not know it ignores).
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chat.wire.errors import (
    ChatError,
    CommandInvalid,
    CommandUnknown,
    FrameNotJson,
    FrameTooLarge,
    MessageInvalidText,
)

VERSION = 1
SUBPROTOCOL = "chat.v1"
COMMANDS_PER_FRAME = 100
"""More objects than this in one frame are refused whole: one frame must not keep the server busy for long."""

MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

T = TypeVar("T")

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Ref = Annotated[int, Meta(ge=1, le=MAX_INT)]
Count = Annotated[int, Meta(ge=0, le=MAX_INT)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Name = Annotated[str, Meta(max_length=200)]

RoomKind = Literal["open", "private", "direct"]
Role = Literal["owner", "moderator", "member"]


# Shared objects ------------------------------------------------------------------------------------------------


class User(Struct, frozen=True):
    id: str
    name: str
    avatar: str | None = None


class Member(Struct, frozen=True):
    """``handle`` is what names the person after an "@"; absent for who can't be named so."""

    user: User
    role: Role
    joined_at: str
    left_at: str | None
    handle: str | UnsetType = UNSET


class Room(Struct, frozen=True):
    """A room as everybody sees it. ``last_message_at`` is None in a room without messages."""

    id: str
    slug: str
    name: str
    kind: RoomKind
    topic: str
    archived: bool
    member_count: int
    last_message_at: str | None


class RoomState(Room, frozen=True):
    """A room as one person sees it. ``role`` is None for who only watches; ``online`` is None when unknown.

    ``may_post`` is left out where it goes with the role: members may write, others not.
    """

    epoch: str
    seq: int
    last_number: int
    read: int
    unread: int
    mentions: int
    rev: int
    role: Role | None
    notify: Literal["all", "mentions", "none"]
    online: int | None
    may_post: bool | UnsetType = UNSET

    @property
    def may_write(self) -> bool:
        """Whether the person may write here now."""
        may = self.role is not None if self.may_post is UNSET else bool(self.may_post)
        return may and not self.archived


class Reaction(Struct, frozen=True):
    """``users`` holds the ids of the first 50 people; ``count`` counts them all."""

    emoji: str
    count: int
    users: list[str]


class Reply(Struct, frozen=True):
    id: str
    number: int


class Message(Struct, frozen=True):
    id: str
    room: str
    number: int
    seq: int
    changed_seq: int
    author: User | None
    client_id: str | None
    body: str
    html: str
    kind: str
    reply_to: Reply | None
    attachments: list[Any]
    reactions: list[Reaction]
    mentions: list[str]
    created_at: str
    edited_at: str | None
    deleted_at: str | None


class Cursor(Struct, frozen=True):
    """How far a client has come in one room: the state after ``seq`` of the run of numbers ``epoch``."""

    epoch: Annotated[str, Meta(max_length=64)]
    seq: Count


class Limits(Struct, frozen=True):
    frame_bytes: int
    body_chars: int
    sync_rooms: int
    history: int
    catch_up: int
    unanswered: int


class Flow(Struct, frozen=True):
    """Send ``received`` after so many frames, so long after an unacknowledged one, or after so many bytes."""

    frames: int
    seconds: int
    bytes: int | UnsetType = UNSET


class ErrorBody(Struct, frozen=True):
    code: str
    message: str
    retry: bool
    retry_after_ms: int | UnsetType = UNSET
    field: str | UnsetType = UNSET


# Commands: client → server -------------------------------------------------------------------------------------


class _Command(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", omit_defaults=True, kw_only=True):
    pass


class _Request(_Command, frozen=True, kw_only=True):
    """A command that is answered, exactly once, by a reply with the same ``ref``."""

    ref: Ref


class Auth(_Request, frozen=True, kw_only=True, tag="auth"):
    token: Annotated[str, Meta(max_length=256)] | None


class Ping(_Request, frozen=True, kw_only=True, tag="ping"):
    ts: Annotated[str, Meta(max_length=64)] | Annotated[int, Meta(ge=-MAX_INT, le=MAX_INT)] | None = None


class Sync(_Request, frozen=True, kw_only=True, tag="sync"):
    rooms: dict[Id, Cursor | None]


class Unsync(_Request, frozen=True, kw_only=True, tag="unsync"):
    rooms: list[Id]


class ListRooms(_Request, frozen=True, kw_only=True, tag="room.list"):
    scope: Literal["mine", "open"]
    after: Id | None = None
    limit: Limit | None = None


class CreateRoom(_Request, frozen=True, kw_only=True, tag="room.create"):
    name: Name
    kind: Literal["open", "private"]
    topic: Annotated[str, Meta(max_length=1000)] = ""
    client_id: UUID | None = None


class OpenDirect(_Request, frozen=True, kw_only=True, tag="room.direct"):
    users: Annotated[list[Id], Meta(max_length=50)]


class JoinRoom(_Request, frozen=True, kw_only=True, tag="room.join"):
    room: Id


class LeaveRoom(_Request, frozen=True, kw_only=True, tag="room.leave"):
    room: Id


class UpdateRoom(_Request, frozen=True, kw_only=True, tag="room.update"):
    room: Id
    name: Name | None = None
    topic: Annotated[str, Meta(max_length=1000)] | None = None
    archived: bool | None = None


class ListMembers(_Request, frozen=True, kw_only=True, tag="member.list"):
    room: Id
    after: Id | None = None
    limit: Limit | None = None


class AddMember(_Request, frozen=True, kw_only=True, tag="member.add"):
    room: Id
    user: Id
    role: Role = "member"


class RemoveMember(_Request, frozen=True, kw_only=True, tag="member.remove"):
    room: Id
    user: Id


class ChangeRole(_Request, frozen=True, kw_only=True, tag="member.role"):
    room: Id
    user: Id
    role: Role


class PostMessage(_Request, frozen=True, kw_only=True, tag="message.post"):
    room: Id
    client_id: UUID
    body: str
    reply_to: Id | None = None
    attachments: Annotated[list[Id], Meta(max_length=20)] = []


class EditMessage(_Request, frozen=True, kw_only=True, tag="message.edit"):
    message: Id
    body: str


class DeleteMessage(_Request, frozen=True, kw_only=True, tag="message.delete"):
    message: Id


class AddReaction(_Request, frozen=True, kw_only=True, tag="reaction.add"):
    message: Id
    emoji: Annotated[str, Meta(max_length=64)]


class RemoveReaction(_Request, frozen=True, kw_only=True, tag="reaction.remove"):
    message: Id
    emoji: Annotated[str, Meta(max_length=64)]


class History(_Request, frozen=True, kw_only=True, tag="history"):
    room: Id
    before: Count | None = None
    after: Count | None = None
    around: Count | None = None
    limit: Limit | None = None


class Read(_Request, frozen=True, kw_only=True, tag="read"):
    room: Id
    number: Count
    force: bool = False


class Typing(_Command, frozen=True, kw_only=True, tag="typing"):
    room: Id
    active: bool


class Received(_Command, frozen=True, kw_only=True, tag="received"):
    frames: Count


Command = (
    Auth
    | Ping
    | Sync
    | Unsync
    | ListRooms
    | CreateRoom
    | OpenDirect
    | JoinRoom
    | LeaveRoom
    | UpdateRoom
    | ListMembers
    | AddMember
    | RemoveMember
    | ChangeRole
    | PostMessage
    | EditMessage
    | DeleteMessage
    | AddReaction
    | RemoveReaction
    | History
    | Read
    | Typing
    | Received
)


# Replies and events: server → client ---------------------------------------------------------------------------


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


class _RoomEvent(_Event, frozen=True, kw_only=True):
    """A durable change: it has taken the room's next ``seq``. ``prev`` absent means ``seq`` - 1."""

    room: str
    seq: int
    prev: int | UnsetType = UNSET


class MessagePosted(_RoomEvent, frozen=True, kw_only=True, tag="message.posted"):
    message: Message


class MessageChanged(_RoomEvent, frozen=True, kw_only=True, tag="message.changed"):
    message: Message


class RoomChanged(_RoomEvent, frozen=True, kw_only=True, tag="room.changed"):
    state: Room


class MemberJoined(_RoomEvent, frozen=True, kw_only=True, tag="member.joined"):
    member: Member
    by: User | UnsetType = UNSET


class MemberChanged(_RoomEvent, frozen=True, kw_only=True, tag="member.changed"):
    member: Member
    by: User | UnsetType = UNSET


class MemberLeft(_RoomEvent, frozen=True, kw_only=True, tag="member.left"):
    member: Member
    by: User | UnsetType = UNSET


class Changes(_Event, frozen=True, kw_only=True, tag="changes"):
    """One page of a catch-up. ``mine`` maps a message id to the caller's own reactions to it."""

    room: str
    epoch: str
    messages: list[Message]
    mine: dict[str, list[str]]
    members: list[Member]
    state: Room | None


class Synced(_Event, frozen=True, kw_only=True, tag="synced"):
    room: str
    epoch: str
    seq: int


class Reset(_Event, frozen=True, kw_only=True, tag="reset"):
    room: str
    epoch: str
    seq: int
    reason: Literal["new", "too_far", "epoch"]
    state: RoomState


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
    | Lagging
    | Drain
    | ErrorEvent
)


# Results of commands -------------------------------------------------------------------------------------------


class PostResult(Struct, frozen=True):
    """``seq`` is the message's birth seq, the same in every answer for it; ``duplicate`` marks a repeat."""

    id: str
    number: int
    seq: int
    epoch: str
    created_at: str
    duplicate: bool


class SeqResult(Struct, frozen=True):
    seq: int


class ReactionResult(Struct, frozen=True):
    seq: int
    mine: list[str]


class ReadResult(Struct, frozen=True):
    read: int
    unread: int
    mentions: int
    rev: int


class RoomResult(Struct, frozen=True):
    room: RoomState


class RoomPage(Struct, frozen=True):
    rooms: list[Any]
    more: bool


class MemberPage(Struct, frozen=True):
    members: list[Member]
    more: bool
    epoch: str
    seq: int


class HistoryPage(Struct, frozen=True):
    """Oldest first. ``seq`` is the room's head of the snapshot that this page was read in.

    ``members``: the latest 50 who came or went in the span of time that the page shows.
    """

    messages: list[Message]
    mine: dict[str, list[str]]
    more_before: bool
    more_after: bool
    epoch: str
    seq: int
    members: list[Member] = []


# Reading and writing -------------------------------------------------------------------------------------------


class Rejected(Struct, frozen=True):
    """A command that could not be read, and why. ``ref`` is None when the frame had no usable one."""

    ref: int | None
    error: ChatError


class _Envelope(Struct):
    type: Any = None
    ref: Any = None


_encoder = msgspec.json.Encoder()
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_events: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_envelope = msgspec.json.Decoder(_Envelope)
_KNOWN_COMMANDS = frozenset(kind.__struct_config__.tag for kind in Command.__args__)
_KNOWN_EVENTS = frozenset(kind.__struct_config__.tag for kind in Event.__args__)


def encode(value: Any) -> bytes:
    """One wire object as UTF-8 JSON."""
    return _encoder.encode(value)


def frame_of(encoded: list[bytes]) -> bytes:
    """One frame for one or more encoded objects: the object itself, or an array of them in order."""
    return encoded[0] if len(encoded) == 1 else b"[" + b",".join(encoded) + b"]"


def error_body(error: ChatError) -> ErrorBody:
    return ErrorBody(
        code=error.code,
        message=error.message,
        retry=error.retry,
        retry_after_ms=UNSET if error.retry_after_ms is None else error.retry_after_ms,
        field=error.field or UNSET,
    )


def rfc3339(moment: datetime) -> str:
    """``moment`` in UTC with milliseconds, as RFC 3339 writes it: ``2026-11-20T09:30:00.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def decode(frame: str, *, max_bytes: int) -> list[Command | Rejected]:
    """The commands of one client frame, in order; what can't be read stands in its place as ``Rejected``.

    Args:
        max_bytes: The largest frame taken, in UTF-8 bytes.
    """
    # A character is at most 4 bytes, so short frames need not be encoded to be measured.
    if len(frame) * 4 > max_bytes and len(frame.encode("utf-8", "surrogatepass")) > max_bytes:
        return [Rejected(None, FrameTooLarge(f"A frame may have at most {max_bytes} bytes."))]
    if not frame.lstrip(" \t\r\n").startswith("["):
        return [_decode_one(frame)]
    try:
        parts = _array.decode(frame)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _decode_odd(frame)
    if len(parts) > COMMANDS_PER_FRAME:
        return [Rejected(None, FrameTooLarge(f"A frame may have at most {COMMANDS_PER_FRAME} commands."))]
    return [_decode_one(bytes(part).decode()) for part in parts]


def decode_events(frame: str | bytes) -> list[Event]:
    """The events of one server frame, in order. Events of an unknown type are left out.

    Raises:
        msgspec.MsgspecError: The frame is not JSON, or a known event lacks a field.
    """
    text = frame.encode() if isinstance(frame, str) else frame
    parts: Iterable[bytes] = (bytes(p) for p in _array.decode(text)) if text.lstrip().startswith(b"[") else [text]
    return [_events.decode(part) for part in parts if _envelope.decode(part).type in _KNOWN_EVENTS]


def convert_result(result: Any, kind: type[T]) -> T:
    """A reply's ``result`` as its typed form."""
    return msgspec.convert(result, kind)


def _decode_one(text: str) -> Command | Rejected:
    try:
        command = _commands.decode(text)
    except msgspec.ValidationError as error:
        return _why_invalid(text, error)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _decode_odd(text)[0]
    # JSON can spell NUL only as this escape; PostgreSQL can't store it, and one such row would fail its batch.
    if "\\u0000" in text and (field := _bad_text_field(msgspec.to_builtins(command))):
        return Rejected(getattr(command, "ref", None), _bad_text(field))
    return command


def _why_invalid(text: str, error: msgspec.ValidationError) -> Rejected:
    try:
        envelope = _envelope.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return Rejected(None, FrameNotJson())
    ref = _usable_ref(envelope.ref)
    if not isinstance(envelope.type, str):
        return Rejected(ref, CommandInvalid("A command needs a type.", field="type"))
    if envelope.type not in _KNOWN_COMMANDS:
        return Rejected(ref, CommandUnknown(f"There is no command of the type {envelope.type[:40]!r}."))
    return Rejected(ref, CommandInvalid(str(error), field=_field_in(str(error))))


def _field_in(explanation: str) -> str | None:
    """The field that msgspec complains about: it ends with "- at `$.field`" or names it in backquotes."""
    if "`$." in explanation:
        return explanation.rpartition("`$.")[2].rstrip("`")
    return explanation.split("`")[1] if explanation.count("`") >= 2 and "`$" not in explanation else None


def _usable_ref(ref: Any) -> int | None:
    return ref if isinstance(ref, int) and not isinstance(ref, bool) and 1 <= ref <= MAX_INT else None


def _decode_odd(text: str) -> list[Command | Rejected]:
    """Second reading of what msgspec refuses: is it no JSON at all, or JSON with a lone surrogate in a string?"""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [Rejected(None, FrameNotJson())]
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) for item in items) or len(items) > COMMANDS_PER_FRAME:
        return [Rejected(None, FrameNotJson())]
    return [_decode_odd_object(item) for item in items]


def _decode_odd_object(item: dict[str, Any]) -> Command | Rejected:
    ref = _usable_ref(item.get("ref"))
    try:
        if field := _bad_text_field(item):
            return Rejected(ref, _bad_text(field))
        return _decode_one_plain(item, ref)
    except RecursionError:
        return Rejected(ref, FrameNotJson())


def _decode_one_plain(item: dict[str, Any], ref: int | None) -> Command | Rejected:
    try:
        return _commands.decode(msgspec.json.encode(item))
    except msgspec.ValidationError as error:
        return _why_invalid(msgspec.json.encode(item).decode(), error)
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return Rejected(ref, FrameNotJson())


def _bad_text(field: str) -> ChatError:
    if field == "body":
        return MessageInvalidText()
    return CommandInvalid("Text may not hold U+0000 or lone surrogates.", field=field)


def _bad_text_field(item: dict[str, Any]) -> str | None:
    return next((key for key, value in item.items() if not is_storable(key) or not _all_storable(value)), None)


def _all_storable(value: Any) -> bool:
    if isinstance(value, str):
        return is_storable(value)
    if isinstance(value, dict):
        return all(is_storable(key) and _all_storable(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_all_storable(inner) for inner in value)
    return True


def is_storable(text: str) -> bool:
    """Whether ``text`` has neither U+0000 nor a lone surrogate, which databases and UTF-8 can't hold."""
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
