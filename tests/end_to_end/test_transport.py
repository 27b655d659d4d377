"""What the chat sees of a socket that daphne serves, asked of a real daphne."""

import json
from typing import Any
from urllib.request import Request, urlopen

from websockets.asyncio.client import connect

from tests.end_to_end.socket_probe import BIG, PAUSE_S
from tests.rig.factory import SiteFactory


async def test_daphne_shows_what_is_unsent_and_pauses_and_stops_reading_when_told_to(
    make_site: SiteFactory, monkeypatch: Any
):
    site = make_site(processes=0)
    monkeypatch.setattr(site, "application", "tests.end_to_end.socket_probe:application")
    site.start()
    async with connect(site.ws_url, max_size=None, proxy=None) as socket:
        assert len(await socket.recv()) == BIG
        told = json.loads(await socket.recv())
        assert BIG <= told["unsent"] <= BIG + 1_000
        await socket.send("first")
        assert await socket.recv() == "paused"
        await socket.send("second")
        assert json.loads(await socket.recv())["paused_s"] >= PAUSE_S
        assert await socket.recv() == "stopped"
        await socket.send("third")
        assert json.loads(await socket.recv()) == {"read_on": False}


def test_forms_are_not_parsed_on_the_event_loop(make_site: SiteFactory, monkeypatch: Any):
    site = make_site(processes=0)
    monkeypatch.setattr(site, "application", "tests.end_to_end.socket_probe:application")
    site.start()
    body = b"name=" + b"%41" * 1_000
    sent = Request(site.processes[0].url, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    with urlopen(sent) as answer:
        assert json.load(answer) == [len(body), 0]
