"""Commands about the connection itself: ``auth``, ``ping``, ``received``."""

from typing import Any

from django.utils import timezone

from chat.sockets.commands.context import Context
from chat.wire import protocol
from chat.wire.errors import CommandInvalid


async def auth(context: Context, command: protocol.Auth) -> bool:
    return await context.sign_in.authenticate(command)


def ping(context: Context, command: protocol.Ping) -> dict[str, Any]:
    return {"ts": command.ts, "server_time": protocol.rfc3339(timezone.now())}


def received(context: Context, command: protocol.Received) -> None:
    """Take the client's acknowledgement of frames.

    Raises:
        CommandInvalid: It claims frames that were never sent.
    """
    if not context.connection.received(command.frames, context.process.hub.loop.time()):
        raise CommandInvalid("So many were not sent.", field="frames")
