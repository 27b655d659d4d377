"""Which handler answers which command. A table, so that what a client may call is a list, not a name look-up."""

from typing import Any

from chat.sockets.commands import members, messages, rooms, timeline
from chat.sockets.commands.context import Read, Write
from chat.wire import protocol

WRITES: dict[type[Any], Write] = {
    protocol.PostMessage: messages.post,
    protocol.EditMessage: messages.edit,
    protocol.DeleteMessage: messages.delete,
    protocol.AddReaction: messages.react,
    protocol.RemoveReaction: messages.unreact,
    protocol.CreateRoom: rooms.create,
    protocol.OpenDirect: rooms.open_direct,
    protocol.UpdateRoom: rooms.update,
    protocol.JoinRoom: rooms.join,
    protocol.LeaveRoom: rooms.leave,
    protocol.AddMember: members.add,
    protocol.RemoveMember: members.remove,
    protocol.ChangeRole: members.change_role,
    protocol.Read: timeline.read,
}

READS: dict[type[Any], Read] = {
    protocol.Ping: timeline.ping,
    protocol.Unsync: timeline.unsync,
    protocol.History: timeline.history,
    protocol.ListRooms: rooms.list_rooms,
    protocol.ListMembers: members.list_members,
}
