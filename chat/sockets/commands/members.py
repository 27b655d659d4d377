"""Commands about a room's members: list, add, remove, change a role."""

from functools import partial

from chat.access import lookup, reads
from chat.runtime import pools
from chat.services import memberships
from chat.services.changes import Call, Change
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def list_members(context: Context, command: protocol.ListMembers) -> protocol.MemberPage:
    room_id = lookup.key(command.room)
    return await pools.readers.run_for(
        context.connection.user_id, reads.members, context.user, room_id, after=command.after, limit=command.limit
    )


async def add(context: Context, command: protocol.AddMember) -> Change:
    room_id, user = lookup.key(command.room), context.user

    def change() -> None:
        memberships.add(by=user, room_id=room_id, user_id=command.user, role=command.role)

    return Call(user, change, room_id=room_id)


async def remove(context: Context, command: protocol.RemoveMember) -> Change:
    room_id = lookup.key(command.room)
    change = partial(memberships.remove, by=context.user, room_id=room_id, user_id=command.user)
    return Call(context.user, change, room_id=room_id)


async def change_role(context: Context, command: protocol.ChangeRole) -> Change:
    room_id = lookup.key(command.room)
    change = partial(memberships.change_role, by=context.user, room_id=room_id, user_id=command.user, role=command.role)
    return Call(context.user, change, room_id=room_id)
