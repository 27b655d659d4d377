"""A client that does not keep up is told, waited for and then closed; it costs nobody else anything."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

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
    return make_site(env=SMALL | getattr(request, "param", {}))


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
