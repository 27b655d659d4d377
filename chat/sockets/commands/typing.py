"""The command that says that somebody is typing: ``typing``."""

import time
from typing import Any

from chat.access import lookup
from chat.access.policy import policy
from chat.live.hints import RoomTransient
from chat.live.publisher import publish
from chat.runtime import pools
from chat.runtime.rates import RateLimit
from chat.sockets.commands.context import Context
from chat.wire import protocol
from chat.wire.errors import ChatError, CommandInvalid

_rate = RateLimit(rate=2.0, burst=6)
"""Typing over this rate is dropped and not refused: the others have been told already."""


async def tell(context: Context, command: protocol.Typing) -> None:
    """Tell everybody who watches the room. The command has no answer, whatever comes of it."""
    if _rate.wait_s(context.connection.user_id, time.monotonic()):
        return
    try:
        room_id = await pools.readers.run_for(
            context.connection.user_id, _writable, context.user, lookup.key(command.room)
        )
    except ChatError:
        return
    told = protocol.TypingChanged(room=str(room_id), user=context.connection.user_id, active=command.active)
    publish([RoomTransient(room_id, protocol.encode(told), except_user=context.connection.user_id)])


def _writable(user: Any, room_id: int) -> int:
    entry = lookup.room(user, room_id)
    if entry.room.archived or not policy().can_post(user, entry.room, entry.membership):
        raise CommandInvalid
    return entry.room.pk
