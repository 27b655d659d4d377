"""The reference Python client. It needs ``websockets`` and ``msgspec``, and no Django (docs/python-client.md)."""

from chat.client.client import ChatClient
from chat.client.core.actions import (
    ConnectionChanged,
    Failed,
    OutboxFull,
    OutcomeUnknown,
    Overflowed,
    Stopped,
    TooManyRequests,
)
from chat.client.cursor_store import CursorStore, FileCursors, RoomPosition
from chat.client.outbox_store import MemoryOutbox, OutboxInUse, OutboxStore, SqliteOutbox
from chat.client.room import Room
from chat.wire.errors import ChatError
from chat.wire.protocol import (
    MemberChanged,
    MemberJoined,
    MemberLeft,
    Message,
    MessageChanged,
    MessagePosted,
    Notice,
    PresenceTold,
    Reset,
    RoomAdded,
    RoomChanged,
    RoomRemoved,
    TypingChanged,
)

__all__ = [
    "ChatClient",
    "ChatError",
    "ConnectionChanged",
    "CursorStore",
    "Failed",
    "FileCursors",
    "MemberChanged",
    "MemberJoined",
    "MemberLeft",
    "MemoryOutbox",
    "Message",
    "MessageChanged",
    "MessagePosted",
    "Notice",
    "OutboxFull",
    "OutboxInUse",
    "OutboxStore",
    "OutcomeUnknown",
    "Overflowed",
    "PresenceTold",
    "Reset",
    "Room",
    "RoomAdded",
    "RoomChanged",
    "RoomPosition",
    "RoomRemoved",
    "SqliteOutbox",
    "Stopped",
    "TooManyRequests",
    "TypingChanged",
]
