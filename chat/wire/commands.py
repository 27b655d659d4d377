"""The commands that a client may send; ``Command`` is their union. The server refuses fields that it does not know."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from chat.wire.things import MAX_INT, Count, Cursor, Role

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Ref = Annotated[int, Meta(ge=1, le=MAX_INT)]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Name = Annotated[str, Meta(max_length=200)]


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


class SetPresence(_Request, frozen=True, kw_only=True, tag="presence.set"):
    status: Literal["online", "away"]


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
    | SetPresence
    | Typing
    | Received
)
