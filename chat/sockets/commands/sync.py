"""Commands to follow rooms and to stop following them: ``sync``, ``unsync``."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from chat.access import lookup
from chat.conf import conf
from chat.sockets.commands.context import Context
from chat.wire import protocol
from chat.wire.errors import CommandInvalid, SyncInProgress


def sync(context: Context, command: protocol.Sync) -> Coroutine[Any, Any, dict[str, Any]]:
    """Catch the rooms up and follow them. They count as being synced from this call until the coroutine has run.

    Raises:
        CommandInvalid: Too many rooms.
        SyncInProgress: One of them is being caught up already.
    """
    if len(command.rooms) > conf.sync_rooms:
        raise CommandInvalid(f"A sync may name at most {conf.sync_rooms} rooms.", field="rooms")
    if context.connection.syncing.keys() & command.rooms.keys():
        raise SyncInProgress
    done = asyncio.get_running_loop().create_future()
    context.connection.syncing.update(dict.fromkeys(command.rooms, done))
    return _sync(context, command, done)


async def _sync(context: Context, command: protocol.Sync, done: "asyncio.Future[None]") -> dict[str, Any]:
    try:
        return {"rooms": await context.process.catch_up.sync(context.connection, command.rooms)}
    finally:
        for room_id in command.rooms:
            context.connection.syncing.pop(room_id, None)
        if not done.done():
            done.set_result(None)


async def unsync(context: Context, command: protocol.Unsync) -> dict[str, Any]:
    """Stop following rooms. A sync of one of them ends first, because commands take effect in order."""
    under_way = {done for room_id, done in context.connection.syncing.items() if room_id in command.rooms}
    if under_way:
        await asyncio.wait(under_way)
    for room_id in lookup.keys(command.rooms).values():
        context.process.hub.detach(context.connection, room_id)
    return {}
