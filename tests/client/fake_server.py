"""A chat server for tests of the Python client: enough of the protocol, one process, and faults on demand."""

import asyncio
import contextlib
import http
import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from chat.wire import protocol
from chat.wire.protocol import Cursor, Message, User
from tests.client.core.model_room import BEN, LIMITS, ME, ModelRoom

ANA = ME


@dataclass(eq=False)
class Link:
    """One connection, as the server sees it."""

    socket: ServerConnection
    user: User
    live: set[str] = field(default_factory=set)
    received: list[int] = field(default_factory=list)

    async def send(self, *events: Any) -> None:
        frame = b"[" + b",".join(protocol.encode(each) for each in events) + b"]"
        with contextlib.suppress(ConnectionClosed):
            await self.socket.send(frame, text=True)


class FakeServer:
    """Serves ``rooms`` to clients with a token of ``tokens``."""

    def __init__(self) -> None:
        self.rooms = {"1": ModelRoom("1")}
        self.tokens = {"ana-token": ANA, "ben-token": BEN}
        self.sessions = {"ana-session": ANA}
        self.origin: str | None = None
        self.links: list[Link] = []
        self.connections = 0
        self.requests: list[Request] = []
        self.commands: list[dict[str, Any]] = []
        # Faults and settings
        self.status: http.HTTPStatus | None = None
        self.close_next_with: list[int] = []
        self.kill_after_storing = 0
        self.refuse: list[protocol.ErrorBody] = []
        self.hollow: list[dict[str, Any]] = []
        """Unusable contents for the next replies. The commands themselves are carried out."""
        self.heartbeat_s = 20.0
        self.flow: protocol.Flow | None = None
        self.limits = LIMITS
        self.catch_up = 1000
        self.hidden: set[str] = set()
        self.is_mute = False
        """Whether commands are received, but neither carried out nor answered."""
        self.muted: list[dict[str, Any]] = []
        self._server: Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> "FakeServer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await serve(
            self._serve, "127.0.0.1", self.port, process_request=self._admit, ping_interval=None, max_size=None,
            compression=None, close_timeout=0.2, select_subprotocol=lambda _, offered: offered[0],
        )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Stop as in a crash, without close frames."""
        assert self._server is not None
        for link in self.links:
            link.socket.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    # Faults

    def break_connections(self) -> None:
        for link in list(self.links):
            link.socket.transport.abort()

    async def close_connections(self, code: int) -> None:
        for link in list(self.links):
            await link.socket.close(code)

    # What happens in rooms

    async def post(self, body: str, *, author: User = BEN, room: str = "1", client_id: str | None = None) -> Message:
        message, event = self.rooms[room].post(author, client_id or f"{author.id}-{body}", body)
        if event is not None:
            await self.publish(event)
        return message

    async def publish(self, event: protocol.RoomEvent) -> None:
        for link in list(self.links):
            if event.room in link.live:
                await link.send(event)

    # Connections

    async def _admit(self, _socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self.status is not None:
            return Response(self.status, "", request.headers.__class__(), b"")
        return None

    def _user_of(self, request: Request) -> User | None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        cookie = request.headers.get("Cookie", "").removeprefix("sessionid=")
        return self.tokens.get(bearer) or self.sessions.get(cookie)

    async def _serve(self, socket: ServerConnection) -> None:
        self.connections += 1
        assert socket.request is not None
        if self.close_next_with:
            await socket.close(self.close_next_with.pop(0))
            return
        user = self._user_of(socket.request)
        if user is None and "Authorization" in socket.request.headers:
            await socket.close(4501)
            return
        try:
            if user is None:
                auth = json.loads(await asyncio.wait_for(socket.recv(), 5))
                user = self.tokens.get(auth["token"])
                if user is None:
                    await socket.close(4501)
                    return
                await socket.send(json.dumps({"type": "reply", "ref": auth["ref"], "ok": True, "result": {}}))
            await self._talk(Link(socket, user))
        except ConnectionClosed:
            pass

    async def _talk(self, link: Link) -> None:
        self.links.append(link)
        try:
            await link.send(self._hello(link.user))
            async for frame in link.socket:
                for command in protocol.decode(str(frame), max_bytes=1 << 20):
                    if self.is_mute:
                        self.muted.append(msgspec.to_builtins(command))
                    else:
                        await self._obey(link, command)
        finally:
            self.links.remove(link)

    def _hello(self, user: User) -> protocol.Hello:
        rooms = [room.state() for name, room in self.rooms.items() if name not in self.hidden]
        return protocol.Hello(
            protocol=1, user=user, server="fake", heartbeat_s=self.heartbeat_s, limits=self.limits, flow=self.flow,
            rooms=rooms, rooms_version=1,
        )  # fmt: skip

    # Commands

    async def _obey(self, link: Link, command: Any) -> None:
        if isinstance(command, protocol.Received):
            link.received.append(command.frames)
            return
        if isinstance(command, protocol.Typing):
            await self.publish_typing(link, command)
            return
        self.commands.append(msgspec.to_builtins(command))
        if self.refuse and not isinstance(command, protocol.Sync | protocol.History):
            await link.send(protocol.ReplyEvent(ref=command.ref, ok=False, error=self.refuse.pop(0)))
        elif isinstance(command, protocol.Sync):
            await self._sync(link, command)
        elif isinstance(command, protocol.PostMessage):
            await self._post(link, command)
        else:
            result = msgspec.to_builtins(self._result(command))
            await link.send(protocol.ReplyEvent(ref=command.ref, ok=True, result=result))

    async def publish_typing(self, link: Link, command: protocol.Typing) -> None:
        event = protocol.TypingChanged(room=command.room, user=link.user.id, active=command.active)
        for each in self.links:
            if each is not link and command.room in each.live:
                await each.send(event)

    async def _post(self, link: Link, command: protocol.PostMessage) -> None:
        room = self.rooms[command.room]
        message, event = room.post(link.user, str(command.client_id), command.body)
        if event is not None:
            await self.publish(event)
        if self.kill_after_storing:
            self.kill_after_storing -= 1
            link.socket.transport.abort()
            return
        if self.hollow:
            await link.socket.send(json.dumps({"type": "reply", "ref": command.ref, **self.hollow.pop(0)}))
            return
        result = room.stored(message, duplicate=event is None)
        await link.send(protocol.ReplyEvent(ref=command.ref, ok=True, result=msgspec.to_builtins(result)))

    async def _sync(self, link: Link, command: protocol.Sync) -> None:
        outcomes = {}
        for name, cursor in command.rooms.items():
            if name not in self.rooms or name in self.hidden:
                outcomes[name] = "denied"
                continue
            outcomes[name] = await self._sync_room(link, self.rooms[name], cursor)
        await link.send(protocol.ReplyEvent(ref=command.ref, ok=True, result={"rooms": outcomes}))

    async def _sync_room(self, link: Link, room: ModelRoom, cursor: Cursor | None) -> str:
        link.live.add(room.id)
        if (reason := room.reset_reason(cursor, self.catch_up)) is not None:
            await link.send(room.reset(reason))
            return "reset"
        assert cursor is not None, "without one there is a reset"
        await link.send(room.changes(room.changed_after(cursor.seq)), room.synced())
        return "live"

    def _result(self, command: Any) -> Any:
        if isinstance(command, protocol.History):
            return self.rooms[command.room].history(command, LIMITS.history)
        if isinstance(command, protocol.ListRooms):
            return {"rooms": [msgspec.to_builtins(room.state()) for room in self.rooms.values()], "more": False}
        if isinstance(command, protocol.ListMembers):
            return self.rooms[command.room].member_page()
        if isinstance(command, protocol.CreateRoom):
            name = str(len(self.rooms) + 1)
            self.rooms[name] = ModelRoom(name)
            return protocol.RoomResult(self.rooms[name].state())
        if isinstance(command, protocol.JoinRoom):
            return protocol.RoomResult(self.rooms[command.room].state())
        if isinstance(command, protocol.EditMessage):
            return {"seq": 1}
        return {}
