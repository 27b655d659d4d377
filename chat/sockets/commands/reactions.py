"""Commands to react to messages: ``reaction.add``, ``reaction.remove``."""

from functools import partial

from chat.services import reactions
from chat.services.writer import Call, Change
from chat.sockets.commands.context import Context
from chat.wire import protocol


async def add(context: Context, command: protocol.AddReaction) -> Change:
    change = partial(reactions.add, actor=context.user, message_id=command.message, emoji=command.emoji)
    return Call(context.user, change, message_id=command.message)


async def remove(context: Context, command: protocol.RemoveReaction) -> Change:
    change = partial(reactions.remove, actor=context.user, message_id=command.message, emoji=command.emoji)
    return Call(context.user, change, message_id=command.message)
