"""What the reply to a command holds as its ``result``, and which command has which one."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from chat.wire import commands
from chat.wire.things import Member, Message, RoomState, User


class AuthResult(Struct, frozen=True):
    user: User


class PingResult(Struct, frozen=True):
    """``ts`` is the one that the command named."""

    ts: str | int | None
    server_time: str


class SyncResult(Struct, frozen=True):
    """What became of each room."""

    rooms: dict[str, Literal["live", "reset", "denied"]]


class Done(Struct, frozen=True):
    """An empty object: the command was carried out, and there is nothing more to say."""


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
    """``seq`` is the room's head in the snapshot that this page was read from, ``run`` the database's run then."""

    members: list[Member]
    more: bool
    epoch: str
    seq: int
    run: str | UnsetType = UNSET


class HistoryPage(Struct, frozen=True):
    """Oldest first. ``seq`` is the room's head in the snapshot that this page was read from, ``run`` the database's
    run then.

    ``members``: the last 50 people who joined or left in the span of time that the page shows.
    ``quoted``: the messages that the page's messages reply to, except those on the page and those that do not fit.
    """

    messages: list[Message]
    mine: dict[str, list[str]]
    more_before: bool
    more_after: bool
    epoch: str
    seq: int
    members: list[Member] = []
    quoted: list[Message] = []
    run: str | UnsetType = UNSET


RESULTS: dict[type[Any], type[Any] | None] = {
    commands.Auth: AuthResult,
    commands.Ping: PingResult,
    commands.Sync: SyncResult,
    commands.Unsync: Done,
    commands.ListRooms: RoomPage,
    commands.CreateRoom: RoomResult,
    commands.OpenDirect: RoomResult,
    commands.JoinRoom: RoomResult,
    commands.LeaveRoom: Done,
    commands.UpdateRoom: RoomResult,
    commands.ListMembers: MemberPage,
    commands.AddMember: Done,
    commands.RemoveMember: Done,
    commands.ChangeRole: Done,
    commands.PostMessage: PostResult,
    commands.EditMessage: SeqResult,
    commands.DeleteMessage: SeqResult,
    commands.AddReaction: ReactionResult,
    commands.RemoveReaction: ReactionResult,
    commands.History: HistoryPage,
    commands.Read: ReadResult,
    commands.SetPresence: Done,
    commands.Typing: None,
    commands.Received: None,
}
"""What a reply's ``result`` holds, by command; None for commands without a reply."""
