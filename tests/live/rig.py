"""A hub on the test's own loop, with sockets that only record, and hints that wait until the test hands them over."""

import asyncio
from typing import Any

import msgspec

from chat.access.identity import Identity
from chat.live import publisher
from chat.live.connection import Connection
from chat.live.hints import Hint
from chat.process import Process

HELLO = b'{"type":"hello"}'


class Socket:
    """A client's end: what was sent to it, as decoded events, and the code it was closed with."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.code: int | None = None
        self.changed = asyncio.Event()

    async def send(self, message: dict[str, Any]) -> None:
        self.frames.append(message["text"])
        decoded = msgspec.json.decode(message["text"])
        self.events += decoded if isinstance(decoded, list) else [decoded]
        self.changed.set()

    def close(self, code: int) -> None:
        self.code = code
        self.changed.set()

    def of_type(self, *kinds: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["type"] in kinds]

    async def until(self, condition: Any, timeout_s: float = 30.0) -> None:
        """Return once ``condition(self)`` holds."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


class LiveRig:
    """A process that repeats nothing by itself. ``postbox`` holds what services published; ``deliver`` hands it to the
    hub."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.process = Process(loop)
        self.hub = self.process.hub
        self.catch_up = self.process.catch_up
        self.reconciler = self.process.reconciler
        self.heartbeat = self.process.heartbeat
        self.revalidation = self.process.revalidation
        self.postbox: list[Hint] = []
        self.holds_mail = False
        publisher.register(loop, self._take)
        self.loop = loop

    def _take(self, hints: list[Hint]) -> None:
        if self.holds_mail:
            self.postbox += hints
        else:
            self.hub.take(hints)

    def deliver(self, *, lose: Any = lambda hint: False) -> None:
        mail, self.postbox = self.postbox, []
        self.hub.take([hint for hint in mail if not lose(hint)])

    async def quiet(self) -> None:
        """Return when nothing is being read any more."""
        while tasks := list(self.process.background._tasks):
            await asyncio.wait(tasks)

    def connect(self, user: Any, *, token_id: int | None = None) -> tuple[Connection, Socket]:
        """``token_id`` proves who it is; without one, the first look at who is still welcome closes the socket."""
        socket = Socket()
        connection = Connection(socket.send, close=socket.close)
        connection.sign_in(Identity(user, token_id=token_id))
        assert self.hub.open(connection)
        self.hub.greet(connection, [HELLO])
        return connection, socket

    async def close(self) -> None:
        self.process.background.cancel()
        publisher.unregister(self.loop)
        for connection in list(self.hub.connections):
            self.hub.close(connection)
        await asyncio.sleep(0)
