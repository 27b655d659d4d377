"""What commands, events and results are made of: the objects that several of them hold."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

MAX_INT = 2**53 - 1
"""The largest integer that every JSON reader keeps exact."""

Count = Annotated[int, Meta(ge=0, le=MAX_INT)]
RoomKind = Literal["open", "private", "direct"]
Role = Literal["owner", "moderator", "member"]


class User(Struct, frozen=True):
    id: str
    name: str
    avatar: str | None = None


class Member(Struct, frozen=True):
    """``handle`` mentions the person when it follows an "@"; it is absent for people who cannot be mentioned.

    ``by`` is the person who added them, or removed them if they left; absent if they joined or left by themselves.
    """

    user: User
    role: Role
    joined_at: str
    left_at: str | None
    handle: str | UnsetType = UNSET
    by: User | UnsetType = UNSET


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


Silence = Literal["archived", "nobody_left", "may_join", "read_only"]
"""Why a person may not write in a room: it is archived, the others of a direct room are gone, only members write and
they may join, or the policy does not let them. Clients take any word: a later server may know others."""


class RoomState(Room, frozen=True):
    """A room as one person sees it. ``role`` is None for people who only watch; ``online`` is None when unknown.

    The policy decides what the person may do. ``may_post`` is left out where it follows from the role (members may
    write, others may not), and so is ``may_moderate`` (owners and moderators may, others may not). ``why_silent`` says
    why the person may not write now, and is left out if they may.
    ``gone`` is how many of a direct room's other people have no account any more; they stand last in its name. It is
    left out if there are none. ``run`` is the run of the database that ``seq`` was given in.
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
    may_moderate: bool | UnsetType = UNSET
    why_silent: str | UnsetType = UNSET
    gone: int | UnsetType = UNSET
    run: str | UnsetType = UNSET

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
    """How far a client has come in one room: the state after ``seq`` of the numbering ``epoch``.

    ``run`` is the run of the database that ``seq`` was given in, as the server has named it.
    """

    epoch: Annotated[str, Meta(max_length=64)]
    seq: Count
    run: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class Limits(Struct, frozen=True):
    frame_bytes: int
    body_chars: int
    sync_rooms: int
    history: int
    catch_up: int
    unanswered: int
    deadline_s: float | UnsetType = UNSET


class Flow(Struct, frozen=True):
    """When to send ``received``: after so many frames or bytes, or so many seconds after an unacknowledged frame."""

    frames: int
    seconds: int
    bytes: int | UnsetType = UNSET


class ErrorBody(Struct, frozen=True):
    code: str
    message: str
    retry: bool
    retry_after_ms: int | UnsetType = UNSET
    field: str | UnsetType = UNSET
