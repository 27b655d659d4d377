"""The wire contract, sentence by sentence, against real daphne processes on all four back-ends (docs/protocol.md).

All of these tests share one site for each back-end: each makes rooms of its own.
"""

from typing import Any

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.site import Site


@pytest.fixture
async def ana(site: Site) -> Any:
    talk = await talk_as(site.ws_url, site.user("ana"))
    yield talk
    await talk.close()


@pytest.fixture
async def ben(site: Site) -> Any:
    talk = await talk_as(site.ws_url, site.user("ben"))
    yield talk
    await talk.close()


@pytest.fixture
async def eve(site: Site) -> Any:
    """The outsider."""
    talk = await talk_as(site.ws_url, site.user("eve"))
    yield talk
    await talk.close()


@pytest.fixture
async def room(ana: Talk) -> str:
    """A new private room of ana's."""
    made = await ana.call("room.create", name="Staff", kind="private")
    return made["room"]["id"]


@pytest.fixture
async def shared(site: Site, ana: Talk, ben: Talk, room: str) -> str:
    """The same with ben in it, both following."""
    await ana.call("member.add", room=room, user=site.user("ben").id)
    await ana.follow(room)
    await ben.follow(room)
    return room


@pytest.fixture
def site(shared_site: Site) -> Site:
    return shared_site
