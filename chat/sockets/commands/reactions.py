"""Commands to react to messages: ``reaction.add``, ``reaction.remove``."""

from functools import partial

from chat.access import lookup
from chat.services import reactions
from chat.services.changes import Call, Change
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def add(context: Context, command: protocol.AddReaction) -> Change:
    message_id = lookup.key(command.message)
    change = partial(reactions.add, by=context.user, message_id=message_id, emoji=command.emoji)
    return Call(context.user, change, message_id=message_id)


async def remove(context: Context, command: protocol.RemoveReaction) -> Change:
    message_id = lookup.key(command.message)
    change = partial(reactions.remove, by=context.user, message_id=message_id, emoji=command.emoji)
    return Call(context.user, change, message_id=message_id)
