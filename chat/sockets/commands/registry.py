"""Every command that a client may send, and the handler that answers it."""

from typing import Any

from chat.sockets.commands import connection, members, messages, presence, reactions, read_pointers, rooms, sync, typing
from chat.sockets.commands.context import (
    Handler,
    ImmediateRead,
    ImmediateSignal,
    Read,
    Signal,
    SignInCommand,
    Stream,
    Write,
)
from chat.wire import protocol

COMMANDS: dict[type[Any], Handler] = {
    # The connection itself
    protocol.Auth: SignInCommand(connection.auth),
    protocol.Ping: ImmediateRead(connection.ping),
    protocol.Received: ImmediateSignal(connection.received),
    # Following rooms
    protocol.Sync: Stream(sync.sync),
    protocol.Unsync: Read(sync.unsync),
    # Rooms
    protocol.ListRooms: Read(rooms.list_rooms),
    protocol.CreateRoom: Write(rooms.create),
    protocol.OpenDirect: Write(rooms.open_direct),
    protocol.UpdateRoom: Write(rooms.update),
    protocol.JoinRoom: Write(rooms.join),
    protocol.LeaveRoom: Write(rooms.leave),
    # Members
    protocol.ListMembers: Read(members.list_members),
    protocol.AddMember: Write(members.add),
    protocol.RemoveMember: Write(members.remove),
    protocol.ChangeRole: Write(members.change_role),
    # Messages
    protocol.PostMessage: Write(messages.post),
    protocol.EditMessage: Write(messages.edit),
    protocol.DeleteMessage: Write(messages.delete),
    protocol.History: Read(messages.history),
    protocol.AddReaction: Write(reactions.add),
    protocol.RemoveReaction: Write(reactions.remove),
    # Reading, presence and typing
    protocol.Read: Write(read_pointers.move),
    protocol.SetPresence: Read(presence.set_status),
    protocol.Typing: Signal(typing.tell),
}
