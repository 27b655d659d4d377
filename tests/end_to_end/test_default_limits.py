"""The limits as they are by default: nobody who behaves is refused for long or disconnected, and floods are cut off."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from chat.client import ChatClient, ConnectionChanged
from chat.conf import ChatSettings
from tests.end_to_end.talk import talk_as
from tests.rig.factory import SiteFactory
from tests.rig.site import RATES, Site

ROOMS = 200
FOLLOWED = 60
"""Rooms of a page that acknowledges nothing: more do not fit into its window."""
TABS = ChatSettings().sockets_per_user
DEFAULTS = {name: str(getattr(ChatSettings(), name.removeprefix("CHAT_").lower())) for name in RATES}


@pytest.fixture
def site(make_site: SiteFactory) -> Site:
    return make_site(env=DEFAULTS)


@pytest.fixture
def rooms(site: Site) -> list[str]:
    """Rooms of ana, with a message in each."""
    code = (
        "from chat import api; from django.contrib.auth.models import User\n"
        "ana = User.objects.get(username='ana')\n"
        f"rooms = [api.create_room(f'Room {{n}}', ana, kind='private') for n in range({ROOMS})]\n"
        "[api.post(room, ana, 'hi') for room in rooms]\n"
        "print(*[room.pk for room in rooms])"
    )
    return site.python(code).split()


async def test_a_bot_that_loads_the_history_of_all_its_rooms_at_once_gets_them_on_one_connection(
    site: Site, rooms: list[str]
) -> None:
    states: list[str] = []

    async def watch(client: ChatClient) -> None:
        async for news in client.events():
            if isinstance(news, ConnectionChanged):
                states.append(news.state)

    async with ChatClient(site.url, token=site.token("ana")) as client, asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(client))
        loaded = await asyncio.gather(*[client.room(each, history=50) for each in rooms])
        assert [len(each.messages) for each in loaded] == [1] * ROOMS
        watching.cancel()
    assert states == ["connecting", "live"]


async def test_after_a_restart_every_page_of_one_person_is_live_at_once(site: Site, rooms: list[str]) -> None:
    site.processes[0].restart()
    tabs = await asyncio.gather(*[talk_as(site.ws_url, site.user("ana")) for _ in range(TABS)])
    try:
        for outcomes in await asyncio.gather(*[tab.follow(*rooms[:FOLLOWED]) for tab in tabs]):
            assert set(outcomes.values()) == {"reset"}
    finally:
        await asyncio.gather(*[tab.close() for tab in tabs])


async def pings(socket: ClientConnection) -> None:
    await socket.ping()


async def pongs(socket: ClientConnection) -> None:
    await socket.pong()


async def parts_of_one_message(socket: ClientConnection) -> None:
    await socket.send(["{"] + [" "] * 200)


@pytest.mark.parametrize("send", [pings, pongs, parts_of_one_message])
async def test_who_sends_frames_that_hold_no_message_without_end_is_cut_off(
    site: Site, send: Callable[[ClientConnection], Awaitable[None]]
) -> None:
    flooding, other = await talk_as(site.ws_url, site.user("ana")), await talk_as(site.ws_url, site.user("ben"))
    with contextlib.suppress(ConnectionClosed):
        for _ in range(20_000):
            await send(flooding.socket)
            await asyncio.sleep(0)  # lets the close frame in
    assert await flooding.closed() == 4029
    await other.call("ping")
    await other.close()
