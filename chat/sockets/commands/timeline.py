import asyncio
import time
from typing import Any

from django.utils import timezone

from chat.access import lookup, reads
from chat.access.policy import policy
from chat.conf import conf
from chat.live.connection import Connection
from chat.live.hints import RoomTransient
from chat.live.publisher import publish
from chat.runtime import pools
from chat.services.rates import RateLimit
from chat.services.read_pointers import Move
from chat.services.writer import Change
from chat.sockets.commands.context import Context
from chat.wire import protocol
from chat.wire.errors import ChatError, CommandInvalid, SyncInProgress

_typing_rate = RateLimit(rate=2.0, burst=6)
"""Typing is shed, not refused: who presses keys faster than this is typing anyway."""


def claim(connection: Connection, command: protocol.Sync) -> "asyncio.Future[None]":
    """Note that the rooms of a sync are being caught up, until the future is done.

    Raises:
        CommandInvalid: Too many rooms.
        SyncInProgress: One of them is being caught up already.
    """
    if len(command.rooms) > conf.sync_rooms:
        raise CommandInvalid(f"A sync may name at most {conf.sync_rooms} rooms.", field="rooms")
    if connection.syncing.keys() & command.rooms.keys():
        raise SyncInProgress
    done = asyncio.get_running_loop().create_future()
    connection.syncing.update(dict.fromkeys(command.rooms, done))
    return done


async def sync(context: Context, command: protocol.Sync, done: "asyncio.Future[None]") -> dict[str, Any]:
    """Catch claimed rooms up and follow them. Runs beside other commands, for its pace is the client's."""
    try:
        return {"rooms": await context.process.catch_up.sync(context.connection, command.rooms)}
    finally:
        for room_id in command.rooms:
            del context.connection.syncing[room_id]
        done.set_result(None)


async def unsync(context: Context, command: protocol.Unsync) -> dict[str, Any]:
    """Stop following rooms; one that is being caught up is first let through, for commands take effect in order."""
    under_way = {done for room_id, done in context.connection.syncing.items() if room_id in command.rooms}
    if under_way:
        await asyncio.wait(under_way)
    for room_id in lookup.keys(command.rooms).values():
        context.process.hub.detach(context.connection, room_id)
    return {}


async def history(context: Context, command: protocol.History) -> protocol.HistoryPage:
    return await pools.readers.run(
        reads.history,
        context.user,
        command.room,
        before=command.before,
        after=command.after,
        around=command.around,
        limit=command.limit,
    )


async def read(context: Context, command: protocol.Read) -> Change:
    return Move(context.user, command.room, command.number, command.force, context.connection.id)


async def ping(context: Context, command: protocol.Ping) -> dict[str, Any]:
    return {"ts": command.ts, "server_time": protocol.rfc3339(timezone.now())}


async def typing(context: Context, command: protocol.Typing) -> None:
    """Tell who watches the room; no answer, whatever comes of it."""
    if _typing_rate.wait_s(context.connection.user_id, time.monotonic()):
        return
    try:
        room_id = await pools.readers.run(_writable, context.user, command.room)
    except ChatError:
        return
    told = protocol.TypingChanged(room=str(room_id), user=context.connection.user_id, active=command.active)
    publish([RoomTransient(room_id, protocol.encode(told), except_user=context.connection.user_id)])


def _writable(user: Any, wire_id: str) -> int:
    entry = lookup.room(user, wire_id)
    if entry.room.archived or not policy().can_post(user, entry.room, entry.membership):
        raise CommandInvalid
    return entry.room.pk
