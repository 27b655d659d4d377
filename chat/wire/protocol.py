"""Protocol version 1 (docs/protocol.md): the functions that read and write the wire, and every type on it by one name.

Only this package knows JSON keys: ``commands``, ``events`` and ``results`` have what goes each way, ``things`` the
objects inside. All of it is pure: no Django, no sockets, no clock. Server and Python client share it: the server
decodes commands strictly (it rejects what it does not know), a client decodes events leniently (it ignores what it does
not know).
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

# Other modules write ``protocol.Message``, so nobody needs to know in which file a type stands.
from chat.wire.commands import *  # noqa: F403
from chat.wire.commands import Command
from chat.wire.errors import (
    ChatError,
    CommandInvalid,
    CommandUnknown,
    FrameNotJson,
    FrameTooLarge,
    MessageInvalidText,
    ServerError,
)
from chat.wire.events import *  # noqa: F403
from chat.wire.events import Event, ReplyEvent
from chat.wire.results import *  # noqa: F403
from chat.wire.things import *  # noqa: F403
from chat.wire.things import MAX_INT, ErrorBody

VERSION = 1
SUBPROTOCOL = "chat.v1"
COMMANDS_PER_FRAME = 100
"""A frame with more objects than this is refused as a whole: one frame must not keep the server busy for long."""

T = TypeVar("T")


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
    """Return the commands of one client frame, in order; ``Rejected`` takes the place of each that can't be read.

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
    """Return the events of one server frame, in order. Events of an unknown type are left out.

    A reply that can't be read becomes a ``server.error``, so that its command ends all the same.

    Raises:
        msgspec.MsgspecError: The frame is not JSON, or a known event lacks a field.
    """
    text = frame.encode() if isinstance(frame, str) else frame
    parts: Iterable[bytes] = (bytes(p) for p in _array.decode(text)) if text.lstrip().startswith(b"[") else [text]
    return [_decode_event(part) for part in parts if _envelope.decode(part).type in _KNOWN_EVENTS]


def unreadable_reply(ref: int) -> ReplyEvent:
    """Return a ``server.error`` in place of a reply that holds nothing usable: the command may be sent again."""
    return ReplyEvent(ref=ref, ok=False, error=error_body(ServerError("The server's answer can't be read.")))


def _decode_event(part: bytes) -> Event:
    try:
        return _events.decode(part)
    except msgspec.ValidationError:
        envelope = _envelope.decode(part)
        if envelope.type != "reply" or (ref := _usable_ref(envelope.ref)) is None:
            raise
        return unreadable_reply(ref)


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
    # JSON can write NUL only as this escape. PostgreSQL can't store it, and one such row would fail its whole batch.
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
    """Read again what msgspec refuses: it is no JSON at all, or JSON with a lone surrogate in a string."""
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
