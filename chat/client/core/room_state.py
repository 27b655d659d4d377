"""The arithmetic of a room's state as one person sees it: unread counts and the read pointer. Pure functions."""

from msgspec import UNSET
from msgspec.structs import asdict, replace

from chat.wire.protocol import Member, Message, ReadChanged, ReadResult, Room, RoomState


def with_message(state: RoomState, message: Message, me: str | None) -> RoomState:
    """The state after a message that it may or may not count already."""
    if message.number <= state.last_number:
        return state
    state = replace(state, last_number=message.number, last_message_at=message.created_at)
    if message.author is not None and message.author.id == me:
        return replace(state, read=message.number, unread=0, mentions=0)
    mentioned = 1 if me in message.mentions else 0
    return replace(state, unread=state.last_number - state.read, mentions=state.mentions + mentioned)


def with_read(state: RoomState, read: ReadChanged | ReadResult) -> RoomState:
    """The state after the person's pointer moved, here or on another device; older news of it is dropped."""
    if read.rev < state.rev:
        return state
    unread = max(0, state.last_number - read.read)
    return replace(state, read=read.read, unread=unread, mentions=read.mentions, rev=read.rev)


def with_room(state: RoomState, room: Room) -> RoomState:
    """The state after the room itself changed. A direct room's name stays: everybody sees another one."""
    changed = asdict(room)
    if room.kind == "direct":
        del changed["name"]
    # Whether and why one may not write has perhaps changed with it; only the server knows.
    return replace(state, **changed, why_silent=UNSET)


def with_member(state: RoomState, member: Member, me: str | None) -> RoomState:
    """The state after somebody came, went or got another role."""
    if member.user.id != me:
        return state
    return replace(
        state, role=None if member.left_at else member.role, may_post=UNSET, may_moderate=UNSET, why_silent=UNSET
    )
