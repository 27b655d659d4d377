"""Commands about a room's members: list, add, remove, change a role."""

from functools import partial

from chat.access import reads
from chat.runtime import pools
from chat.services import memberships
from chat.services.writer import Call, Change
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def list_members(context: Context, command: protocol.ListMembers) -> protocol.MemberPage:
    return await pools.readers.run(reads.members, context.user, command.room, after=command.after, limit=command.limit)


async def add(context: Context, command: protocol.AddMember) -> Change:
    who = {"actor": context.user, "room_id": command.room, "user_id": command.user}
    return Call(context.user, partial(memberships.add, **who, role=command.role), room_id=command.room)


async def remove(context: Context, command: protocol.RemoveMember) -> Change:
    who = {"actor": context.user, "room_id": command.room, "user_id": command.user}
    return Call(context.user, partial(memberships.remove, **who), room_id=command.room)


async def change_role(context: Context, command: protocol.ChangeRole) -> Change:
    who = {"actor": context.user, "room_id": command.room, "user_id": command.user}
    return Call(context.user, partial(memberships.change_role, **who, role=command.role), room_id=command.room)
