"""Who sends too much is cut off and kept out for a while; who takes too little is cut off, whatever they claim."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from asgiref.testing import ApplicationCommunicator

from chat.conf import conf
from chat.live.connection import TRANSPORT, UnknownTransport
from chat.runtime import pools
from chat.services import tokens
from chat.sockets import sign_in
from chat.sockets.consumers import ChatConsumer
from tests.sockets.socket import WAIT_S, socket_of

pytestmark = pytest.mark.usefixtures("socket_process")


@pytest.fixture(autouse=True)
def refusals_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "REFUSED_AFTER_S", 0.0)


class Wire(UnknownTransport):
    """A ``Transport`` whose kernel takes what it is told to."""

    def __init__(self) -> None:
        self.unsent = 0
        self.is_read = True
        self.paused_s = 0.0
        self.read_frame: Callable[[], None] | None = None

    def count_frames(self, count: Callable[[], None]) -> bool:
        self.read_frame = count
        return True

    def unsent_bytes(self) -> int:
        return self.unsent

    def pause_reading(self, seconds: float) -> None:
        self.paused_s = seconds

    def stop_reading(self) -> None:
        self.is_read = False


async def opened(user: Any, wire: Wire, *, address: str = "192.0.2.1", token: str = "") -> ApplicationCommunicator:
    """A socket of a person; of nobody yet, for None."""
    if user is not None:
        token = token or await pools.site.run(tokens.issue, by=user, user=user)
    scope = {
        "type": "websocket",
        "path": "/ws/chat/",
        "client": (address, 1),
        "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
        "query_string": b"",
        "subprotocols": [],
        "extensions": {TRANSPORT: wire},
    }
    application = ApplicationCommunicator(ChatConsumer.as_asgi(), scope)
    await application.send_input({"type": "websocket.connect"})
    assert (await application.receive_output(WAIT_S))["type"] == "websocket.accept"
    return application


class PlainWire(Wire):
    """The transport of a server that does not show frames."""

    def count_frames(self, count: Callable[[], None]) -> bool:
        return False


async def tell(application: ApplicationCommunicator, *commands: dict[str, Any]) -> None:
    await application.send_input({"type": "websocket.receive", "text": json.dumps(commands)})


async def first_output(application: ApplicationCommunicator) -> str | int:
    """The type of the first event, or the code that the socket was closed with."""
    message = await application.receive_output(WAIT_S)
    if message["type"] == "websocket.close":
        return int(message["code"])
    decoded = json.loads(message["text"])
    return str(decoded[0]["type"] if isinstance(decoded, list) else decoded["type"])


async def code_of_end(application: ApplicationCommunicator) -> int:
    while not isinstance(found := await first_output(application), int):
        pass
    return found


async def leave(*applications: ApplicationCommunicator) -> None:
    for each in applications:
        await each.send_input({"type": "websocket.disconnect", "code": 1000})
        await each.wait(WAIT_S)


async def flood(application: ApplicationCommunicator) -> None:
    for _ in range(conf.bad_frames):
        await application.send_input({"type": "websocket.receive", "text": "no JSON"})


async def test_nothing_more_is_read_from_who_floods_and_they_may_not_come_back_at_once(
    ana: Any, ben: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "FLOOD_PAUSE_S": 1.0}
    wire, other = Wire(), Wire()
    first, beside = await opened(ana, wire), await opened(ana, other)
    assert await first_output(first) == await first_output(beside) == "hello"
    await flood(first)
    assert await code_of_end(first) == 4029
    assert not wire.is_read
    assert other.is_read
    again = await opened(ana, Wire())
    assert await first_output(again) == 4029
    async with socket_of(ben) as bens:
        assert await bens.code_of("ping") == ""
    await tell(beside, {"type": "ping", "ref": 1})
    assert await first_output(beside) == "reply", "sockets that are open stay"

    async with asyncio.timeout(WAIT_S):
        while True:
            late = await opened(ana, Wire())
            found = await first_output(late)
            await leave(late)
            if found == "hello":
                break
            assert found == 4029
    await leave(first, beside, again)


async def test_who_sends_frames_without_end_is_cut_off_whatever_they_hold(ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "FRAME_RATE": 0.001, "FRAME_BURST": 30}
    sender, beside = await opened(ana, PlainWire()), await opened(ana, PlainWire())
    assert await first_output(sender) == await first_output(beside) == "hello"
    for ref in range(30):
        await tell((sender, beside)[ref % 2], {"type": "ping", "ref": 1 + ref})
    for each in (sender, beside):
        assert await first_output(each) == "reply"
    await tell(sender, {"type": "ping", "ref": 31})
    assert await code_of_end(sender) == 4029
    await leave(sender, beside)


async def test_where_the_server_shows_frames_those_count_that_hold_no_message_and_messages_do_not_count_twice(
    ana: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "FRAME_RATE": 0.001, "FRAME_BURST": 30}
    wire = Wire()
    sender = await opened(ana, wire)
    assert await first_output(sender) == "hello"
    assert wire.read_frame is not None
    for _ in range(30):
        wire.read_frame()
    await tell(sender, {"type": "ping", "ref": 1})
    assert await first_output(sender) == "reply"
    wire.read_frame()
    assert await code_of_end(sender) == 4029
    assert not wire.is_read
    await leave(sender)


async def test_frames_are_read_no_faster_than_the_loop_can_answer_them(ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "FRAME_RATE": 1.0, "FRAME_BURST": 400}
    wire = Wire()
    sender = await opened(ana, wire)
    assert await first_output(sender) == "hello"
    assert wire.read_frame is not None
    for _ in range(20):
        wire.read_frame()
    assert wire.paused_s == 0
    wire.read_frame()
    assert wire.paused_s == pytest.approx(1 / 8, rel=0.2)
    await leave(sender)


async def test_before_the_sign_in_all_sockets_from_one_address_count_together(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "FRAME_RATE": 0.001, "FRAME_BURST": 30, "TEXT_RATE": 1.0, "TEXT_BURST": 100}
    wires = [Wire() for _ in range(3)]
    first, second = [await opened(None, each) for each in wires[:2]]
    elsewhere = await opened(None, wires[2], address="192.0.2.2")
    await tell(first, {"type": "ping", "ref": 1, "ts": "x" * 200})
    await tell(second, {"type": "ping", "ref": 1})
    for wire in wires:
        assert wire.read_frame is not None
        for _ in range(15):
            wire.read_frame()
    assert 0 < wires[0].paused_s < wires[1].paused_s, "text counts together"
    wires[2].read_frame()
    wires[1].read_frame()
    assert await code_of_end(second) == 4029
    again = await opened(None, Wire())
    await tell(again, {"type": "ping", "ref": 1})
    await tell(elsewhere, {"type": "auth", "ref": 1, "token": "no such token"})
    assert await code_of_end(elsewhere) == 4501
    await leave(first, second, elsewhere, again)


async def test_who_comes_back_without_end_is_looked_up_once_a_second(
    ana: Any, ben: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKET_RATE": 0.001, "SOCKET_BURST": 2}
    monkeypatch.setattr(sign_in, "REFUSED_AFTER_S", 0.3)
    token = await pools.site.run(tokens.issue, by=ana, user=ana)
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(3):
        began = loop.time()
        socket = await opened(ana, Wire(), token=token)
        outcome = await first_output(socket)
        took.append((outcome, loop.time() - began >= 0.3))
        await leave(socket)
    assert took == [("hello", False), ("hello", False), (4029, True)]
    bens = await opened(ben, Wire())
    assert await first_output(bens) == "hello"
    await leave(bens)


async def test_from_who_sends_much_text_the_rest_is_read_later_and_nothing_is_refused(
    ana: Any, ben: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "TEXT_RATE": 1000.0, "TEXT_BURST": 100_000}
    sender, beside, other = Wire(), Wire(), Wire()
    first, second, bens = await opened(ana, sender), await opened(ana, beside), await opened(ben, other)
    for each in (first, second, bens):
        assert await first_output(each) == "hello"
    frame = {"type": "message.post", "room": "0", "body": "x" * 9_000, "client_id": str(uuid4())}
    sent = 0
    while not sender.paused_s:
        sent += 1
        await tell(first, {**frame, "ref": sent})
        assert await first_output(first) == "reply"
    assert sent * 9_100 == pytest.approx(100_000, rel=0.1)
    await second.send_input({"type": "websocket.receive", "bytes": b"x" * 9_000})
    assert await first_output(second) == "error"
    assert beside.paused_s > sender.paused_s, "what is no text counts too"
    await tell(second, {"type": "ping", "ref": 1})
    await tell(bens, {"type": "ping", "ref": 1})
    assert await first_output(second) == await first_output(bens) == "reply"
    assert beside.paused_s > 0, "all sockets of one person count together"
    assert other.paused_s == 0
    await leave(first, second, bens)


async def test_who_opens_sockets_without_end_is_told_to_wait(ana: Any, ben: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKET_RATE": 0.001, "SOCKET_BURST": 3}
    for _ in range(3):
        async with socket_of(ana) as socket:
            assert await socket.code_of("ping") == ""
    refused = await opened(ana, Wire())
    assert await first_output(refused) == 4029
    async with socket_of(ben) as bens:
        assert await bens.code_of("ping") == ""
    await leave(refused)


async def test_sockets_from_one_address_are_limited_whoever_opens_them(
    ana: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHAT = {**settings.CHAT, "HANDSHAKE_RATE": 0.001, "HANDSHAKE_BURST": 3}
    monkeypatch.setattr(sign_in, "REFUSED_AFTER_S", 0.2)
    strangers = [await opened(None, Wire()) for _ in range(3)]
    began = asyncio.get_running_loop().time()
    anas = await opened(ana, Wire())
    assert await first_output(anas) == 4029
    assert asyncio.get_running_loop().time() - began >= 0.2
    elsewhere = await opened(ana, Wire(), address="192.0.2.2")
    assert await first_output(elsewhere) == "hello"
    await leave(*strangers, anas, elsewhere)


async def test_one_socket_too_many_keeps_nobody_out(ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKETS_PER_USER": 2}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(socket_of(ana))
        async with socket_of(ana) as second:
            assert await second.code_of("ping") == ""
            third = await opened(ana, Wire())
            assert await first_output(third) == 4029
        again = await opened(ana, Wire())
        assert await first_output(again) == "hello"
        await leave(third, again)


async def test_who_takes_nothing_and_acknowledges_everything_is_let_go_of(ana: Any) -> None:
    wire = Wire()
    liar = await opened(ana, wire)
    assert await first_output(liar) == "hello"
    wire.unsent = 4 * conf.window_bytes - 1
    await tell(liar, {"type": "ping", "ref": 1}, {"type": "received", "frames": 1})
    assert await first_output(liar) == "reply"
    wire.unsent += 1
    await tell(liar, {"type": "ping", "ref": 2}, {"type": "received", "frames": 2})
    assert await code_of_end(liar) == 4008
    await leave(liar)
