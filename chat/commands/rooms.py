from typing import Any
from uuid import uuid4

from chat import offload
from chat.access import queries
from chat.commands.context import Context
from chat.services import memberships, rooms
from chat.services.writer import Change
from chat.wire import protocol


async def list_rooms(context: Context, command: protocol.ListRooms) -> Any:
    pages = queries.own_rooms if command.scope == "mine" else queries.open_rooms
    found, more = await offload.readers.run(pages, context.user, after=command.after, limit=command.limit)
    return {"rooms": found, "more": more}


async def create(context: Context, command: protocol.CreateRoom) -> Change:
    client_id = command.client_id or uuid4()  # the writer may run a change twice
    return lambda: _state(
        context.user,
        rooms.create(
            creator=context.user, name=command.name, kind=command.kind, topic=command.topic, client_id=client_id
        ).pk,
    )


async def open_direct(context: Context, command: protocol.OpenDirect) -> Change:
    return lambda: _state(context.user, rooms.open_direct(user=context.user, user_ids=command.users).pk)


async def update(context: Context, command: protocol.UpdateRoom) -> Change:
    return lambda: _state(
        context.user,
        rooms.update(
            user=context.user,
            room_id=command.room,
            name=command.name,
            topic=command.topic,
            archived=command.archived,
        ).pk,
    )


async def join(context: Context, command: protocol.JoinRoom) -> Change:
    return lambda: _state(context.user, memberships.join(user=context.user, room_id=command.room).pk)


async def leave(context: Context, command: protocol.LeaveRoom) -> Change:
    def change() -> dict[str, Any]:
        memberships.leave(user=context.user, room_id=command.room)
        return {}

    return change


def _state(user: Any, room_id: int) -> protocol.RoomResult:
    return protocol.RoomResult(room=queries.room_state(user, room_id))
