"""What ``manage.py serve`` makes of WebSockets that are refused, flooded, broken or slow."""

import asyncio
import re
import socket
import struct
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from chat.wire.errors import Close
from tests.rig.site import Site
from tests.server.conftest import ENVIRONMENT, WAIT_S, answer_to, connected, request
from tests.server.test_http import status, told

UPGRADE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
TOO_LONG = 4 * 65_536 + 1


def opened(site: Site, path: str, **options: Any) -> Any:
    return connect(site.processes[0].url.replace("http", "ws") + path, proxy=None, compression=None, **options)


async def refusal(site: Site, path: str) -> Any:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(site, path):
            pass
    return refused.value.response


async def closed_with(reader: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await reader.recv()
    assert closed.value.rcvd is not None, "the connection was reset"
    return closed.value.rcvd.code


async def test_an_application_chooses_how_it_refuses(probe: Site):
    response = await refusal(probe, "/deny")
    assert response.status_code == 401
    assert response.body == b"Who are you?"
    assert response.headers["Server"] == "hearth"


async def test_an_application_that_fails_during_the_handshake_is_answered_for_at_once(probe: Site):
    assert (await refusal(probe, "/fail")).status_code == 500


async def test_a_handshake_has_the_headers_of_the_site_and_of_the_application(probe: Site):
    async with opened(probe, "/echo") as ws:
        assert ws.response.headers["X-Site"] == "ours"
        assert ws.response.headers["X-App"] == "yes"


async def test_a_socket_whose_application_fails_is_closed_with_a_code_of_the_contract(probe: Site):
    async with opened(probe, "/fail-later") as ws:
        await ws.send("now")
        assert await closed_with(ws) == Close.FAILED


async def test_beyond_the_handshakes_in_progress_the_next_is_told_to_come_again(probe: Site):
    most = int(ENVIRONMENT["CHAT_SERVER_HANDSHAKES"])
    async with AsyncExitStack() as stack:
        for _ in range(most):
            raw = stack.enter_context(connected(probe))
            raw.sendall(request("GET", "/hang", *UPGRADE))
        answer = await until_refused(probe)
        assert b"Retry-After: 1\r\n" in answer
    async with asyncio.timeout(20):
        while b"101" not in await asyncio.to_thread(handshake, probe):
            pass


async def until_refused(site: Site) -> bytes:
    async with asyncio.timeout(20):
        while b" 503 " not in (answer := await asyncio.to_thread(handshake, site)):
            pass
    return answer


def handshake(site: Site) -> bytes:
    with connected(site) as raw:
        raw.sendall(request("GET", "/echo", *UPGRADE))
        return raw.recv(10_000)


@pytest.mark.parametrize(
    "broken",
    [
        Frame(Opcode.TEXT, b"x" * TOO_LONG).serialize(mask=True),
        Frame(Opcode.TEXT, b"\xff\xff").serialize(mask=True),
        Frame(Opcode.CONT, b"of nothing").serialize(mask=True),
        bytes((0xC1, 0x80, 0, 0, 0, 0)),
        Frame(Opcode.CLOSE, b"\x00\x01").serialize(mask=True),
    ],
    ids=["too long", "not UTF-8", "continues nothing", "reserved bit", "impossible close code"],
)
async def test_a_frame_that_can_not_be_read_closes_with_4029_and_never_resets(probe: Site, broken: bytes):
    async with opened(probe, "/echo") as ws:
        await ws.send("before")
        assert await ws.recv() == "before"
        ws.transport.write(broken)
        assert await closed_with(ws) == Close.FLOODING


async def test_a_message_in_parts_that_is_too_long_closes_with_4029(probe: Site):
    async with opened(probe, "/echo") as ws:
        part = b"x" * 60_000
        ws.transport.write(Frame(Opcode.TEXT, part, fin=False).serialize(mask=True))
        for _ in range(5):
            ws.transport.write(Frame(Opcode.CONT, part, fin=False).serialize(mask=True))
        assert await closed_with(ws) == Close.FLOODING


async def test_a_slow_client_gets_whole_frames_and_then_the_close_frame_without_the_rest(probe: Site):
    async with opened(probe, "/echo", max_size=None, max_queue=1) as ws:
        await ws.send("much")
        frames = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                frames.append(await ws.recv())
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == Close.TOO_SLOW
    assert [int(re.match(r"\d+", each)[0]) for each in frames] == list(range(len(frames)))
    assert all(len(each) == 65_536 for each in frames)
    assert len(frames) < 400, "nothing was left out"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ([*UPGRADE[:2], UPGRADE[3]], 400),
        ([*UPGRADE[:3]], 400),
        ([*UPGRADE[:2], "Sec-WebSocket-Version: 99", UPGRADE[3]], 400),
    ],
    ids=["no version", "no key", "unknown version"],
)
def test_a_handshake_that_can_not_be_read_is_answered(probe: Site, line: list[str], expected: int):
    assert status(answer_to(probe, request("GET", "/echo", *line))) == expected


async def test_frames_that_are_written_straight_arrive_in_order_whatever_their_size(probe: Site):
    async with opened(probe, "/echo") as ws:
        texts = ["x" * size for size in (1, 125, 126, 65_535, 65_536, 200_000, 2)]
        for each in texts:
            await ws.send(each)
        assert [await ws.recv() for _ in texts] == texts


def test_a_subprotocol_that_is_percent_encoded_does_not_keep_the_handshake_open(probe: Site):
    offered = request("GET", "/subprotocol", *UPGRADE, "Sec-WebSocket-Protocol: %63hat.v1")
    with connected(probe) as raw:
        raw.sendall(offered)
        answer = raw.recv(10_000)
    assert status(answer) == 101
    assert b"Sec-WebSocket-Protocol" not in answer


def test_what_comes_before_the_handshake_is_answered_waits_and_is_no_second_handshake(probe: Site):
    with connected(probe) as raw:
        raw.sendall(request("GET", "/echo-later", *UPGRADE))
        raw.sendall(Frame(Opcode.TEXT, b"early\r\n\r\n").serialize(mask=True))
        read = raw.recv(10_000)
        while b"early" not in read:
            read += raw.recv(10_000)
    assert read.count(b"HTTP/1.1") == 1
    assert status(read) == 101


def test_much_that_comes_before_the_handshake_is_answered_is_left_on_the_clients_side(probe: Site):
    with connected(probe) as raw:
        raw.sendall(request("GET", "/hang", *UPGRADE))
        raw.settimeout(2)
        with pytest.raises(TimeoutError):  # every buffer on the way is full
            for _ in range(1_000):
                raw.sendall(b"x" * 65_536)


async def test_a_reset_that_comes_with_data_is_noticed(probe: Site):
    """uvloop would watch such a socket no more, and Twisted would believe that it lives."""
    raw = socket.create_connection(("127.0.0.1", probe.processes[0].port), timeout=WAIT_S)
    raw.sendall(request("GET", "/alive", *UPGRADE))
    assert b" 101 " in raw.recv(10_000)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.sendall(Frame(Opcode.TEXT, b"last words").serialize(mask=True))
    raw.close()
    async with asyncio.timeout(WAIT_S):
        while told(await asyncio.to_thread(answer_to, probe, request("GET", "/alive", "Connection: close"))):
            pass


async def test_after_a_broken_frame_nothing_more_is_read(probe: Site):
    async with opened(probe, "/echo") as ws:
        await ws.send("close")
        for _ in range(50):
            ws.transport.write(b"\xff" * 100_000)
        assert await closed_with(ws) in (Close.TOO_SLOW, Close.FLOODING)


def test_the_server_has_written_no_traceback_but_those_of_its_application(probe: Site):
    log = probe.processes[0].written()
    assert log.count("Traceback") == log.count("\nValueError: as it is meant to"), log[-4_000:]
