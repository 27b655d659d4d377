"""Commands about rooms: list, create, open a direct room, update, join, leave."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from chat.access import lookup, reads
from chat.models import Room
from chat.runtime import pools
from chat.services import memberships, rooms
from chat.services.changes import Call, Change
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def list_rooms(context: Context, command: protocol.ListRooms) -> Any:
    pages: Callable[..., Any] = reads.own_rooms if command.scope == "mine" else reads.open_rooms
    found, more = await pools.readers.run_for(
        context.connection.user_id, pages, context.user, after=command.after, limit=command.limit
    )
    return {"rooms": found, "more": more}


async def create(context: Context, command: protocol.CreateRoom) -> Change:
    make = partial(
        rooms.create,
        by=context.user,
        name=command.name,
        kind=command.kind,
        topic=command.topic,
        client_id=command.client_id or uuid4(),  # the writer may run a change twice
    )
    return Call(context.user, partial(_state_after, context.user, make))


async def open_direct(context: Context, command: protocol.OpenDirect) -> Change:
    return Call(
        context.user,
        partial(_state_after, context.user, partial(rooms.open_direct, by=context.user, user_ids=command.users)),
    )


async def update(context: Context, command: protocol.UpdateRoom) -> Change:
    room_id = lookup.key(command.room)
    change = partial(
        rooms.update,
        by=context.user,
        room_id=room_id,
        name=command.name,
        topic=command.topic,
        archived=command.archived,
    )
    return Call(context.user, partial(_state_after, context.user, change), room_id=room_id)


async def join(context: Context, command: protocol.JoinRoom) -> Change:
    room_id = lookup.key(command.room)
    change = partial(memberships.join, by=context.user, room_id=room_id)
    return Call(context.user, partial(_state_after, context.user, change), room_id=room_id)


async def leave(context: Context, command: protocol.LeaveRoom) -> Change:
    room_id = lookup.key(command.room)
    return Call(context.user, partial(memberships.leave, by=context.user, room_id=room_id), room_id=room_id)


def _state_after(user: Any, change: Callable[[], Room]) -> protocol.RoomResult:
    return protocol.RoomResult(room=reads.room_state(user, change().pk))
