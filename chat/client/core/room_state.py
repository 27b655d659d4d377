"""The arithmetic of a room's state as one person sees it: unread counts and the read pointer. Pure functions."""

from msgspec import UNSET
from msgspec.structs import asdict, replace

from chat.wire.protocol import Member, Message, ReadChanged, ReadResult, Room, RoomState


def with_message(state: RoomState, message: Message, me: str | None) -> RoomState:
    """The state after a message, which it may count already."""
    if message.number <= state.last_number:
        return state
    state = replace(state, last_number=message.number, last_message_at=message.created_at)
    if message.author is not None and message.author.id == me:
        return replace(state, read=message.number, unread=0, mentions=0)
    mentioned = 1 if me in message.mentions else 0
    return replace(state, unread=state.last_number - state.read, mentions=state.mentions + mentioned)


def with_read(state: RoomState, read: ReadChanged | ReadResult) -> RoomState:
    """The state after the person's read pointer moved, here or on another device. An older ``rev`` changes nothing."""
    if read.rev < state.rev:
        return state
    unread = max(0, state.last_number - read.read)
    return replace(state, read=read.read, unread=unread, mentions=read.mentions, rev=read.rev)


def with_room(state: RoomState, room: Room) -> RoomState:
    """The state after the room itself changed. A direct room's name stays: each person sees a different one."""
    changed = asdict(room)
    if room.kind == "direct":
        del changed["name"]
    # The reason why the person may not write may have changed as well; only the server knows it.
    return replace(state, **changed, why_silent=UNSET)


def with_member(state: RoomState, member: Member, me: str | None) -> RoomState:
    """The state after somebody came, went or got another role."""
    if member.user.id != me:
        return state
    return replace(
        state, role=None if member.left_at else member.role, may_post=UNSET, may_moderate=UNSET, why_silent=UNSET
    )
