"""What the chat sees of a socket that is served, asked of real servers."""

import json
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import connect

from tests.end_to_end.socket_probe import BIG, PAUSE_S
from tests.rig.factory import SiteFactory
from tests.rig.site import Site

SERVERS = pytest.mark.parametrize("flags", [(), None], ids=["stock daphne", "our server"])


@SERVERS
async def test_the_server_shows_what_is_unsent_and_pauses_and_stops_reading_when_told_to(
    make_site: SiteFactory, flags: tuple[str, ...] | None
):
    site = probe(make_site, flags)
    async with connect(site.ws_url, max_size=None, proxy=None) as socket:
        assert len(await socket.recv()) == BIG
        told = json.loads(await socket.recv())
        if flags is None:
            assert told["unsent"] < BIG, "what the kernel takes at once is sent"
        else:
            assert BIG <= told["unsent"] <= BIG + 1_000
        await socket.send("first")
        assert await socket.recv() == "paused"
        await socket.send("second")
        assert json.loads(await socket.recv())["paused_s"] > PAUSE_S - 0.01  # uvloop counts in milliseconds
        assert await socket.recv() == "stopped"
        await socket.send("third")
        assert json.loads(await socket.recv()) == {"read_on": False}


@SERVERS
def test_forms_are_not_parsed_on_the_event_loop(make_site: SiteFactory, flags: tuple[str, ...] | None):
    site = probe(make_site, flags)
    body = b"name=" + b"%41" * 1_000
    sent = Request(site.processes[0].url, data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    with urlopen(sent) as answer:
        assert json.load(answer) == [len(body), 0]


def probe(make_site: SiteFactory, flags: tuple[str, ...] | None) -> Site:
    site = make_site(processes=0)
    site.application = "tests.end_to_end.socket_probe:application"
    site.daphne_flags = flags
    site.start()
    return site
