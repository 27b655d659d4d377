"""A bare client for tests of the wire itself: it sends what it is told and keeps all that comes."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.rig.site import Person

WAIT_S = 20.0
Event = dict[str, Any]


class Talk:
    """One socket. ``events`` holds everything but replies, in order."""

    def __init__(self, socket: ClientConnection):
        self.socket = socket
        self.events: list[Event] = []
        self.frames = 0
        """How many frames have come."""
        self.replies: dict[int, Event] = {}
        self.code: int | None = None
        self._refs = count(1)
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for frame in self.socket:
                self.frames += 1
                decoded = json.loads(frame)
                async with self._changed:
                    for event in decoded if isinstance(decoded, list) else [decoded]:
                        if event["type"] == "reply":
                            assert event["ref"] not in self.replies, "two replies to one command"
                            self.replies[event["ref"]] = event
                        else:
                            self.events.append(event)
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        async with self._changed:
            self.code = self.socket.close_code
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], Any], what: str, wait_s: float = WAIT_S) -> Any:
        try:
            async with asyncio.timeout(wait_s), self._changed:
                return await self._changed.wait_for(condition)
        except TimeoutError:
            kinds = [each["type"] for each in self.events]
            raise AssertionError(f"no {what} within {wait_s} s; closed: {self.code}; events: {kinds[-20:]}") from None

    async def send(self, kind: str, /, **fields: Any) -> int:
        """Send a command and return its ref."""
        ref = next(self._refs)
        await self.socket.send(json.dumps({"type": kind, "ref": ref, **fields}))
        return ref

    async def reply(self, ref: int, wait_s: float = WAIT_S) -> Event:
        await self._until(lambda: ref in self.replies, f"reply to {ref}", wait_s)
        return self.replies[ref]

    async def call(self, kind: str, /, **fields: Any) -> Any:
        """The result of a command; the test fails if it is refused."""
        reply = await self.reply(await self.send(kind, **fields))
        assert reply["ok"], reply
        return reply["result"]

    async def refused(self, kind: str, /, **fields: Any) -> Event:
        """The error of a command; the test fails if it is not refused."""
        reply = await self.reply(await self.send(kind, **fields))
        assert not reply["ok"], reply
        return reply["error"]

    async def event(self, kind: str, /, wait_s: float = WAIT_S, **fields: Any) -> Event:
        """The first event of this kind with these fields, come or coming."""

        def found() -> Event | None:
            return next(
                (
                    each
                    for each in self.events
                    if each["type"] == kind and all(each.get(name) == value for name, value in fields.items())
                ),
                None,
            )

        return await self._until(found, f"{kind} {fields}", wait_s)

    async def message(self, body: str, wait_s: float = WAIT_S) -> Event:
        """The ``message.posted`` with this body, come or coming."""
        return await self._until(
            lambda: next(
                (e for e in self.events if e["type"] == "message.posted" and e["message"]["body"] == body), None
            ),
            f"message {body!r}",
            wait_s,
        )

    async def closed(self, wait_s: float = WAIT_S) -> int:
        """The close code."""
        await self._until(lambda: self.code is not None, "close", wait_s)
        assert self.code is not None
        return self.code

    async def quiet(self) -> None:
        """Return when all that the server had to say before this call has come: it answers in order."""
        await self.call("unsync", rooms=[])

    async def post(self, room: str, body: str, **fields: Any) -> Any:
        return await self.call("message.post", room=room, client_id=str(uuid4()), body=body, **fields)

    async def follow(self, *rooms: str, cursors: dict[str, Any] | None = None) -> dict[str, str]:
        return (await self.call("sync", rooms=cursors or dict.fromkeys(rooms)))["rooms"]

    def of_type(self, *kinds: str) -> list[Event]:
        return [each for each in self.events if each["type"] in kinds]

    async def close(self) -> None:
        await self.socket.close()
        await self._reader


async def open_talk(url: str, **options: Any) -> Talk:
    """Connect without showing who one is."""
    options.setdefault("additional_headers", {})
    return Talk(await connect(url, max_size=None, ping_interval=None, proxy=None, **options))


async def talk_as(url: str, person: Person) -> Talk:
    """Connect with the person's token and wait for hello."""
    talk = await open_talk(url, additional_headers={"Authorization": f"Bearer {person.token}"})
    await talk.event("hello")
    return talk
