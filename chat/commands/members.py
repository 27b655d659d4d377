from typing import Any

from chat import offload
from chat.access import queries
from chat.commands.context import Context
from chat.services import memberships
from chat.services.writer import Change
from chat.wire import protocol


async def list_members(context: Context, command: protocol.ListMembers) -> protocol.MemberPage:
    return await offload.readers.run(
        queries.members, context.user, command.room, after=command.after, limit=command.limit
    )


async def add(context: Context, command: protocol.AddMember) -> Change:
    def change() -> dict[str, Any]:
        memberships.add(actor=context.user, room_id=command.room, user_id=command.user, role=command.role)
        return {}

    return change


async def remove(context: Context, command: protocol.RemoveMember) -> Change:
    def change() -> dict[str, Any]:
        memberships.remove(actor=context.user, room_id=command.room, user_id=command.user)
        return {}

    return change


async def change_role(context: Context, command: protocol.ChangeRole) -> Change:
    def change() -> dict[str, Any]:
        memberships.change_role(actor=context.user, room_id=command.room, user_id=command.user, role=command.role)
        return {}

    return change
