"""The command that moves a person's read pointer: ``read``."""

from chat.access import lookup
from chat.services.changes import Change
from chat.services.read_pointers import Move
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def move(context: Context, command: protocol.Read) -> Change:
    return Move(context.user, lookup.key(command.room), command.number, command.force, context.connection.id)
