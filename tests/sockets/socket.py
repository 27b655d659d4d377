"""Sockets of a ``ChatConsumer`` in pytest's own process, without a server."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from asgiref.testing import ApplicationCommunicator

from chat.runtime import pools
from chat.services import tokens
from chat.sockets.consumers import ChatConsumer

WAIT_S = 20.0


class Socket:
    """A signed-in socket of a ``ChatConsumer`` in this process."""

    def __init__(self, application: ApplicationCommunicator):
        self._application = application
        self._refs = count(1)
        self._replies: dict[int, Any] = {}
        self._events: list[Any] = []

    async def send(self, kind: str, /, **fields: Any) -> int:
        ref = next(self._refs)
        frame = json.dumps({"type": kind, "ref": ref, **fields})
        await self._application.send_input({"type": "websocket.receive", "text": frame})
        return ref

    async def reply(self, ref: int) -> Any:
        """What the command was answered: its result or its error."""
        while ref not in self._replies:
            await self._read()
        return self._replies[ref]

    async def event(self, kind: str) -> Any:
        """The first event of this kind."""
        while not (found := [each for each in self._events if each["type"] == kind]):
            await self._read()
        return found[0]

    async def _read(self) -> None:
        message = await self._application.receive_output(WAIT_S)
        decoded = json.loads(message["text"])
        for event in decoded if isinstance(decoded, list) else [decoded]:
            self._events.append(event)
            if event["type"] == "reply":
                self._replies[event["ref"]] = event["result"] if event["ok"] else event["error"]

    async def call(self, kind: str, /, **fields: Any) -> Any:
        return await self.reply(await self.send(kind, **fields))

    async def code_of(self, kind: str, /, **fields: Any) -> str:
        """The code that the command was refused with; "" if it was not."""
        return str((await self.call(kind, **fields)).get("code", ""))


@asynccontextmanager
async def socket_of(user: Any) -> AsyncIterator[Socket]:
    token = await pools.site.run(tokens.issue, by=user, user=user)
    scope = {
        "type": "websocket",
        "path": "/ws/chat/",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
        "query_string": b"",
        "subprotocols": [],
    }
    application = ApplicationCommunicator(ChatConsumer.as_asgi(), scope)
    await application.send_input({"type": "websocket.connect"})
    assert (await application.receive_output(WAIT_S))["type"] == "websocket.accept"
    try:
        yield Socket(application)
    finally:
        await application.send_input({"type": "websocket.disconnect", "code": 1000})
        await application.wait(WAIT_S)
