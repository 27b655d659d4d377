"""The command that says whether a person sits in front of their client: ``presence.set``."""

from typing import Any

from chat.sockets.commands.context import Context
from chat.wire import protocol


async def set_status(context: Context, command: protocol.SetPresence) -> dict[str, Any]:
    """For this connection; the person is away when all of theirs are."""
    if context.connection.status != command.status:
        context.connection.status = command.status
        context.process.presence.own_changed(context.connection.user_id)
    return {}
