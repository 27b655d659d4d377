"""A client that does not keep up is told, waited for and then closed; it costs nobody else anything.

On stock daphne, clients say what they have received. Our own server sees it.
"""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.site import Site

SMALL = {
    "CHAT_WINDOW_FRAMES": "20",
    "CHAT_RECEIVED_FRAMES": "5",
    "CHAT_RECEIVED_S": "2",
    "CHAT_STALL_S": "60",
    "CHAT_TICK_S": "0.001",
}
IMPATIENT = {"CHAT_STALL_S": "2"}
"""For who is to be closed. On a machine that is busy elsewhere, filling a window alone takes longer."""


@pytest.fixture
def site(make_site: SiteFactory, request: pytest.FixtureRequest) -> Site:
    site = make_site(env=SMALL | getattr(request, "param", {}), processes=0)
    site.daphne_flags = ()
    site.start()
    return site


@pytest.fixture
async def staff(site: Site) -> AsyncIterator[tuple[Talk, Talk, str, dict[str, Any]]]:
    """ana, who reads, and ben, who does not say that he does; their room, and ben's cursor in it."""
    ana = await talk_as(site.ws_url, site.user("ana"))
    ben = await talk_as(site.ws_url, site.user("ben"))
    room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
    await ana.call("member.add", room=room, user=site.user("ben").id)
    await ben.follow(room)
    reset = await ben.event("reset", room=room)
    yield ana, ben, room, {"epoch": reset["epoch"], "seq": reset["seq"]}
    await ana.close()
    await ben.close()


async def received(talk: Talk, frames: int) -> None:
    await talk.socket.send(json.dumps({"type": "received", "frames": frames}))


async def post_some(ana: Talk, room: str, first: int, count: int) -> None:
    """Post one by one, as a client that acknowledges what it gets."""
    for place in range(count):
        await ana.post(room, f"{first + place}")
        await received(ana, 1 + first + place)  # fewer than came: at least hello and one reply a post


async def test_a_full_window_is_told_and_a_sync_catches_up(staff: tuple[Talk, Talk, str, dict[str, Any]]):
    ana, ben, room, cursor = staff
    await post_some(ana, room, 1, 40)
    assert (await ben.event("lagging"))["rooms"] == [room]
    shown = len(ben.of_type("message.posted"))
    assert 0 < shown < 40, "pushes stopped"
    await received(ben, 20)
    last = ben.of_type("message.posted")[-1]["seq"]
    assert await ben.follow(cursors={room: {**cursor, "seq": last}}) == {room: "live"}
    await ben.event("synced")
    await received(ben, 22)
    await ana.post(room, "live again")
    await ben.message("live again")
    numbers = [e["message"]["number"] for e in ben.of_type("message.posted")]
    numbers += [m["number"] for e in ben.of_type("changes") for m in e["messages"]]
    assert sorted(numbers) == list(range(1, 42)), "each once"


@pytest.mark.parametrize("site", [IMPATIENT], indirect=True, ids=["impatient"])
async def test_a_client_that_stays_behind_is_closed(staff: tuple[Talk, Talk, str, dict[str, Any]]):
    ana, ben, room, _ = staff
    await post_some(ana, room, 1, 40)
    assert await ben.closed(wait_s=15.0) == 4008
    assert ana.code is None


async def test_a_client_that_acknowledges_unsent_frames_gets_an_error(staff: tuple[Talk, Talk, str, dict[str, Any]]):
    _, ben, _, _ = staff
    await received(ben, 10_000)
    assert (await ben.event("error"))["error"]["field"] == "frames"


@pytest.mark.parametrize("site", [IMPATIENT], indirect=True, ids=["impatient"])
async def test_a_client_that_asks_without_reading_is_closed(staff: tuple[Talk, Talk, str, dict[str, Any]]):
    _, ben, _, _ = staff
    for _ in range(200):
        if ben.code is not None:
            break
        await ben.send("ping")
    assert await ben.closed() in (4008, 4029)


SEEN = {"CHAT_WINDOW_BYTES": "200000", "CHAT_STALL_S": "60", "CHAT_BODY_CHARS": "10000"}
LONG = "0123456789" * 900


@asynccontextmanager
async def reader_who_stops(site: Site) -> AsyncIterator[tuple[Talk, ClientConnection, str, dict[str, Any]]]:
    """ana, who reads; ben's socket, which reads only when it is told to; their room, and ben's cursor in it."""
    ana = await talk_as(site.ws_url, site.user("ana"))
    room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
    await ana.call("member.add", room=room, user=site.user("ben").id)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    raw.connect(("127.0.0.1", site.processes[0].port))
    authorization = {"Authorization": f"Bearer {site.token('ben')}"}
    async with connect(
        site.ws_url, sock=raw, max_queue=1, max_size=None, additional_headers=authorization, compression=None
    ) as ben:
        hello = await next_event(ben, "hello")
        assert hello["flow"] is None, "nothing need be acknowledged"
        await ben.send(json.dumps({"type": "sync", "ref": 1, "rooms": {room: None}}))
        reset = await next_event(ben, "reset")
        yield ana, ben, room, {"epoch": reset["epoch"], "seq": reset["seq"]}
    await ana.close()


async def next_event(reader: ClientConnection, kind: str) -> Any:
    while True:
        read = json.loads(await reader.recv())
        for event in read if isinstance(read, list) else [read]:
            if event["type"] == kind:
                return event


async def test_a_client_that_reads_late_is_told_what_it_has_missed(make_site: SiteFactory):
    async with reader_who_stops(make_site(env=SEEN)) as (ana, ben, room, cursor):
        for number in range(100):
            await ana.post(room, f"{number} {LONG}")
        assert (await next_event(ben, "lagging"))["rooms"] == [room]
        await ben.send(json.dumps({"type": "sync", "ref": 2, "rooms": {room: cursor}}))
        await next_event(ben, "synced")
        await ana.post(room, "live again")
        assert (await next_event(ben, "message.posted"))["message"]["body"] == "live again"


async def test_a_client_that_reads_nothing_is_closed_with_a_code_that_it_can_read(make_site: SiteFactory):
    async with reader_who_stops(make_site(env=SEEN | IMPATIENT)) as (ana, ben, room, _cursor):
        await ana.follow(room)
        for number in range(100):
            await ana.post(room, f"{number} {LONG}")
        gone = {make_site.sites[0].user("ben").id: "offline"}
        await ana.event("presence", users=gone)  # and has read nothing of it yet
        with pytest.raises(ConnectionClosed) as closed:
            await next_event(ben, "no such event")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4008
