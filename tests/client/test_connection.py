"""Connections of the client: how it signs in, when it reconnects, and what ends it for good."""

import asyncio
import http
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from chat.client import ChatClient, ConnectionChanged, OutcomeUnknown, RoomRemoved, Stopped
from chat.client.core import reconnecting
from chat.client.websocket import socket_url
from chat.wire import protocol
from tests.client.fake_server import FakeServer
from tests.client.waiting import until

Connect = Callable[..., Any]


def test_the_client_needs_no_django() -> None:
    code = "import sys, chat.client, chat.client.terminal; print([each for each in sys.modules if 'django' in each])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("http://host:8000", "ws://host:8000/ws/chat/"),
        ("https://host/", "wss://host/ws/chat/"),
        ("https://host/team/chat/socket/", "wss://host/team/chat/socket/"),
        ("ws://host/ws/chat/", "ws://host/ws/chat/"),
    ],
)
def test_the_site_says_where_the_socket_is(given: str, means: str) -> None:
    assert socket_url(given) == means


def test_an_invalid_address_is_refused() -> None:
    with pytest.raises(ValueError, match="Not the address"):
        socket_url("chat.example.com")


async def test_a_token_goes_in_the_header(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    await client.live()
    assert client.me.name == "ana"
    assert server.requests[0].headers["Authorization"] == "Bearer ana-token"
    assert server.requests[0].headers["Sec-WebSocket-Protocol"] == "chat.v1"


async def test_a_token_may_go_in_the_first_frame(server: FakeServer, connect: Connect) -> None:
    client = await connect(auth="frame")
    await client.live()
    assert "Authorization" not in server.requests[0].headers


async def test_a_session_cookie_goes_with_the_sites_origin(server: FakeServer, connect: Connect) -> None:
    client = await connect(cookies={"sessionid": "ana-session"})
    await client.live()
    assert server.requests[0].headers["Origin"] == server.url


async def test_a_dead_session_asks_and_is_told(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.client.core.connection.COOKIE_HELLO_S", 0.05)
    client = await connect(cookies={"sessionid": "long gone"})
    with pytest.raises(Stopped):
        await client.live()
    assert client.core.reason == "not_signed_in"


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, 4001, 4008, 4012, 4029, 4401])
async def test_these_codes_bring_the_client_back(server: FakeServer, connect: Connect, code: int) -> None:
    client = await connect()
    await client.live()
    if code == 1006:
        server.break_connections()
    else:
        await server.close_connections(code)
    await until(lambda: server.connections == 2 and client.state == "live")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (4501, "not_signed_in"),
        (4503, "banned"),
        (4509, "session_ended"),
        (4510, "unsupported_protocol"),
        (4777, "refused"),
    ],
)
async def test_these_codes_end_it_and_nobody_waits_in_vain(
    server: FakeServer, connect: Connect, code: int, reason: str
) -> None:
    server.close_next_with = [code]
    client = await connect()
    waiting = [client.room("1"), client.post("1", "hello"), client.list_rooms(), client.live()]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in results] == [Stopped] * 4
    assert client.core.reason == reason
    assert server.connections == 1
    with pytest.raises(Stopped):
        await client.room("1")


async def test_fresh_credentials_are_tried_once(server: FakeServer, connect: Connect) -> None:
    tokens = iter(["stale", "ana-token"])
    client = await connect(token=lambda: next(tokens))
    await client.live()
    assert server.connections == 2


async def test_fresh_credentials_that_are_no_better_end_it(server: FakeServer, connect: Connect) -> None:
    asked = []

    async def token() -> str:
        asked.append(1)
        return "stale"

    client = await connect(token=token)
    with pytest.raises(Stopped):
        await client.live()
    assert (len(asked), server.connections) == (2, 2)


async def test_an_unauthorised_handshake_ends_it(server: FakeServer, connect: Connect) -> None:
    server.status = http.HTTPStatus.UNAUTHORIZED
    client = await connect()
    with pytest.raises(Stopped):
        await client.live()
    assert len(server.requests) == 1


async def test_a_proxy_without_a_server_behind_it_is_tried_again(server: FakeServer, connect: Connect) -> None:
    server.status = http.HTTPStatus.BAD_GATEWAY
    client = await connect()
    await until(lambda: len(server.requests) >= 3)
    server.status = None
    await client.live()


async def test_a_silent_server_is_taken_for_dead(server: FakeServer, connect: Connect) -> None:
    server.heartbeat_s = 0.05
    client = await connect()
    await client.live()
    await until(lambda: server.connections >= 3)
    server.heartbeat_s = 20
    await until(lambda: client.state == "live")


async def test_a_draining_server_says_when_to_come_back(
    server: FakeServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect()
    await client.live()
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_S", 1000.0)
    await server.links[0].send(protocol.Drain(reconnect_in_ms=50))
    await until(lambda: server.connections == 2 and client.state == "live")


async def test_a_frame_that_can_not_be_read_costs_a_connection_and_nothing_else(
    server: FakeServer, connect: Connect
) -> None:
    client = await connect()
    room = await client.room("1")
    await server.links[0].socket.send('{"type":"message.posted","room":"1"}')
    await server.post("hello")
    await room.until(lambda each: len(each.messages) == 1)
    assert server.connections == 2


async def test_events_of_a_later_version_are_ignored(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    room = await client.room("1")
    await server.links[0].socket.send('[{"type":"room.painted","room":"1","colour":"red"}]')
    await room.post("hello")
    assert server.connections == 1


async def test_the_application_sees_the_connections_states(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    await client.live()
    await server.close_connections(4509)
    seen = []
    async for event in client.events():
        seen.append(event)
        if event == ConnectionChanged("stopped", "session_ended"):
            break
    states = [each.state for each in seen if isinstance(each, ConnectionChanged)]
    assert states == ["connecting", "live", "stopped"]


async def test_frames_are_acknowledged_when_the_server_wants_it(server: FakeServer, connect: Connect) -> None:
    server.flow = protocol.Flow(frames=10, seconds=1000)
    client = await connect()
    room = await client.room("1")
    for number in range(30):
        await server.post(str(number))
    await room.until(lambda each: len(each.messages) == 30)
    await until(lambda: len(server.links[0].received) >= 3)
    assert server.links[0].received[:3] == [10, 20, 30]


async def test_nothing_is_acknowledged_when_it_is_not_wanted(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    room = await client.room("1")
    for number in range(100):
        await server.post(str(number))
    await room.until(lambda each: len(each.messages) == 100)
    assert server.links[0].received == []


async def test_a_command_is_repeated_only_if_that_is_harmless(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    await client.live()
    server.is_mute = True
    edit = asyncio.create_task(client.call(protocol.EditMessage(ref=1, message="1", body="x")))
    create = asyncio.create_task(client.create_room("New"))
    await until(lambda: len(client.core._requests._unanswered) == 2)
    server.is_mute = False
    server.break_connections()
    with pytest.raises(OutcomeUnknown):
        await edit
    room = await create
    assert room.id == "2"


async def test_closing_leaves_nothing_behind(server: FakeServer) -> None:
    before = asyncio.all_tasks()
    async with ChatClient(server.url, token="ana-token", proxy=None) as client:
        room = await client.room("1")
        reading = asyncio.create_task(anext(room.events(), None))
        await asyncio.sleep(0)
    assert await reading is None
    await until(lambda: not server.links)
    assert not [each for each in asyncio.all_tasks() - before if "chat/client" in str(each.get_coro())]
    with pytest.raises(Stopped):
        await room.post("too late")


async def test_a_client_that_never_connected_closes_at_once(impatient: None) -> None:
    async with asyncio.timeout(10), ChatClient("http://127.0.0.1:9", token="x", proxy=None):
        pass


async def test_a_room_that_is_gone_after_a_reconnect_is_removed(server: FakeServer, connect: Connect) -> None:
    client = await connect()
    room = await client.room("1")
    server.hidden.add("1")
    server.break_connections()
    await until(lambda: room.access in ("removed", "denied"))
    news = [each async for each in room.events()]
    assert [type(each) for each in news] in ([], [RoomRemoved])


def test_the_client_runs_on_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timers for a time that has come know less than those of asyncio."""
    uvloop = pytest.importorskip("uvloop")

    async def use() -> None:
        async with ChatClient("http://127.0.0.1:1", token="nobody's") as client:
            monkeypatch.setattr(client.core, "wake_at", lambda now: now)
            client._set_timer()
            client._set_timer()
            assert client.state in ("connecting", "waiting")

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(use())
    finally:
        loop.close()
