"""Replies' results as types, and which commands may be sent again if the connection broke before the reply."""

from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from chat.client.core.requests import AfterLoss
from chat.wire import protocol
from chat.wire.protocol import Command, ErrorBody, ReplyEvent
from chat.wire.results import RESULTS

_NOT_REPEATABLE = (protocol.EditMessage, protocol.UpdateRoom, protocol.ChangeRole, protocol.AddMember)
"""Sent a second time, these could undo what somebody else did in between."""


def usable(command: Command, reply: ReplyEvent) -> ReplyEvent:
    """Return the reply with its result in typed form, or a ``server.error`` in place of an unusable reply.

    So each command ends, and may be sent again, whatever a server answers.
    """
    if not reply.ok:
        return reply if isinstance(reply.error, ErrorBody) else protocol.unreadable_reply(reply.ref)
    try:
        return replace(reply, result=result_of(command, reply.result), error=UNSET)
    except msgspec.ValidationError:
        return protocol.unreadable_reply(reply.ref)


def result_of(command: Command, result: Any) -> Any:
    """Return a reply's result in its typed form, or as a plain dictionary if its type has no fields.

    Raises:
        msgspec.ValidationError: The server broke the contract.
    """
    kind = RESULTS[type(command)]
    if kind is None or kind is protocol.Done:
        return protocol.convert_result(result, dict[str, Any])
    if isinstance(command, protocol.ListRooms):
        each = protocol.RoomState if command.scope == "mine" else protocol.Room
        page = protocol.convert_result(result, protocol.RoomPage)
        return protocol.RoomPage([protocol.convert_result(room, each) for room in page.rooms], page.more)
    return protocol.convert_result(result, kind)


def after_loss(command: Command) -> AfterLoss:
    """What to do with the command if its answer can't come any more (docs/protocol.md, "Repeating is harmless")."""
    if isinstance(command, _NOT_REPEATABLE):
        return "keep_unsent"
    if isinstance(command, protocol.CreateRoom) and command.client_id is None:
        return "keep_unsent"
    return "keep"
