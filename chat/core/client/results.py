"""What each command's reply holds, and which commands may be sent again when the connection broke before the reply."""

from typing import Any

from chat.core.client.requests import AfterLoss
from chat.wire import protocol
from chat.wire.protocol import Command

_RESULTS: dict[type[Command], type] = {
    protocol.PostMessage: protocol.PostResult,
    protocol.EditMessage: protocol.SeqResult,
    protocol.DeleteMessage: protocol.SeqResult,
    protocol.AddReaction: protocol.ReactionResult,
    protocol.RemoveReaction: protocol.ReactionResult,
    protocol.History: protocol.HistoryPage,
    protocol.Read: protocol.ReadResult,
    protocol.CreateRoom: protocol.RoomResult,
    protocol.OpenDirect: protocol.RoomResult,
    protocol.JoinRoom: protocol.RoomResult,
    protocol.UpdateRoom: protocol.RoomResult,
    protocol.ListRooms: protocol.RoomPage,
    protocol.ListMembers: protocol.MemberPage,
}
_NOT_REPEATABLE = (protocol.EditMessage, protocol.UpdateRoom, protocol.ChangeRole, protocol.AddMember)
"""Sent a second time they could undo what somebody else did in between."""


def result_of(command: Command, result: Any) -> Any:
    """A reply's result in its typed form; as it came where the protocol gives it no fields that matter.

    Raises:
        msgspec.ValidationError: The server broke the contract.
    """
    kind = _RESULTS.get(type(command))
    if kind is None:
        return result
    if isinstance(command, protocol.ListRooms):
        each = protocol.RoomState if command.scope == "mine" else protocol.Room
        page = protocol.convert_result(result, protocol.RoomPage)
        return protocol.RoomPage([protocol.convert_result(room, each) for room in page.rooms], page.more)
    return protocol.convert_result(result, kind)


def after_loss(command: Command) -> AfterLoss:
    """What to do with the command when its answer can't come any more (docs/protocol.md, "Repeating is harmless")."""
    if isinstance(command, _NOT_REPEATABLE):
        return "keep_unsent"
    if isinstance(command, protocol.CreateRoom) and command.client_id is None:
        return "keep_unsent"
    return "keep"
