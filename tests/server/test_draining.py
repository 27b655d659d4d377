"""A process that is told to end: nobody loses anything, and nobody is left without a word."""

import asyncio
import os
import signal
import socket
import time
from typing import Any
from uuid import uuid4

import pytest

from chat.wire.errors import Close
from tests.end_to_end.talk import talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.ports import listens, wait_until
from tests.server.conftest import PROBE, connected, read_all, request
from tests.server.test_http import CLOSE, status, told

GONE_S = 15.0


async def test_whoever_is_connected_is_told_when_to_come_back_and_closed_with_4012(make_site: SiteFactory):
    site = make_site()
    talks = [await talk_as(site.ws_url, site.user(name)) for name in ("ana", "ben", "ana")]
    began = time.monotonic()
    ended = asyncio.create_task(asyncio.to_thread(site.processes[0].terminate))
    for each in talks:
        drain = await each.event("drain")
        assert 0 < drain["reconnect_in_ms"] <= 1_500
        assert await each.closed() == Close.DRAINING
    assert await ended == 0
    assert time.monotonic() - began < GONE_S


async def test_what_was_asked_before_is_stored_and_answered(make_site: SiteFactory, backend: Backend):
    site = make_site(backend)
    ana = await talk_as(site.ws_url, site.user("ana"))
    room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
    refs = [
        await ana.send("message.post", room=room, client_id=str(uuid4()), body=f"**{number}**") for number in range(20)
    ]
    ended = asyncio.create_task(asyncio.to_thread(site.processes[0].terminate))
    assert await ana.closed() == Close.DRAINING
    assert await ended == 0
    acknowledged = [ana.replies[ref]["result"]["seq"] for ref in refs if ref in ana.replies]
    stored = site.python("from chat.models import Message; print(list(Message.objects.values_list('seq', flat=True)))")
    assert stored.strip() == str(acknowledged)
    assert len(acknowledged) == len(refs), "all of them were with the server before it was told to end"


async def test_requests_in_hand_are_finished_and_idle_connections_closed(make_site: SiteFactory, monkeypatch: Any):
    site = make_site(processes=0)
    site.application = PROBE
    site.start()
    with connected(site) as busy, connected(site) as idle, connected(site) as helper:
        busy.sendall(request("GET", "/wait"))
        helper.sendall(request("GET", "/begun", CLOSE))
        assert status(read_all(helper)) == 200
        os.kill(site.processes[0].pid, signal.SIGTERM)
        assert read_all(idle) == b""
        answer = read_all(busy)
        assert told(answer) == "waited"
        assert b"connection: close" in answer.lower()
    wait_until(lambda: not site.processes[0].is_running, "the process ends", GONE_S)


async def test_a_second_signal_ends_it_at_once(make_site: SiteFactory):
    site = make_site(processes=0)
    site.application = PROBE
    site.start()
    process = site.processes[0]
    with connected(site) as busy, connected(site) as helper:
        busy.sendall(request("GET", "/wait"))  # never finished: nobody asks for "/begun"
        helper.sendall(request("GET", "/size", CLOSE))
        assert status(read_all(helper)) == 200
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: not listens(process.port), "it listens no more", GONE_S)
        assert process.is_running
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        wait_until(lambda: not process.is_running, "the process ends", GONE_S)
        assert time.monotonic() - began < 5


async def test_after_sigusr1_it_accepts_nobody_and_keeps_whom_it_has_until_sigusr2(make_site: SiteFactory):
    site = make_site()
    process = site.processes[0]
    ana = await talk_as(site.ws_url, site.user("ana"))
    os.kill(process.pid, signal.SIGUSR1)
    while await asyncio.to_thread(is_served, process.port):
        pass
    await ana.call("room.create", name="Still here", kind="private")
    os.kill(process.pid, signal.SIGUSR2)
    while not await asyncio.to_thread(is_served, process.port):
        pass
    await ana.close()


def is_served(port: int) -> bool:
    """Whether a request is answered: the kernel alone completes connections all the same."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as raw:
        raw.sendall(request("GET", "/healthz", CLOSE))
        try:
            return bool(raw.recv(100))
        except TimeoutError:
            return False


async def test_a_heartbeat_that_is_missed_is_told_with_4001(make_site: SiteFactory, monkeypatch: Any):
    pytest.importorskip("autobahn")
    from chat.server import websocket

    sent: list[int] = []
    protocol = websocket.Protocol()
    monkeypatch.setattr(protocol, "sendCloseFrame", lambda code: sent.append(code))
    protocol.onAutoPingTimeout()
    assert sent == [Close.HEARTBEAT_MISSED]
