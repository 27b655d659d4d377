"""The Python client with the real server, over real sockets, on each back-end: the guarantee as applications see it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from chat.client import ChatClient, MessageChanged, MessagePosted, PresenceTold, Room, Stopped
from chat.client.core import reconnecting
from chat.wire import errors
from tests.rig.site import Site


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_S", 0.1)
    monkeypatch.setattr(reconnecting, "RETRY_CAP_S", 0.5)


@asynccontextmanager
async def client_of(site: Site, name: str, *, process: int = 0) -> AsyncIterator[ChatClient]:
    async with ChatClient(site.processes[process].url, token=site.token(name), proxy=None) as client:
        yield client


async def next_bodies(room: Room, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(30):
        async for event in room.events():
            if isinstance(event, MessagePosted):
                found.append(event.message.body)
                if len(found) == count:
                    break
    return found


async def test_two_people_talk(site: Site) -> None:
    async with client_of(site, "ana") as ana, client_of(site, "ben") as ben:
        made = await ana.create_room("Lobby")
        lobby = await ben.room(made.id)
        await lobby.join()
        assert (await made.post("hello *ben*")).number == 1
        assert await next_bodies(lobby, 1) == ["hello *ben*"]
        assert (await lobby.post("hello ana")).number == 2
        assert await next_bodies(made, 2) == ["hello *ben*", "hello ana"]
        assert "<em>ben</em>" in made.messages[0].html


async def test_people_see_who_is_there_and_who_is_away(site: Site) -> None:
    async with client_of(site, "ana") as ana, client_of(site, "ben") as ben:
        made = await ana.create_room("Lobby")
        lobby = await ben.room(made.id)
        await lobby.join()
        bens = site.user("ben").id
        for status in ("online", "away"):
            ben.set_presence(status)
            async with asyncio.timeout(30):
                async for news in ana.events():
                    if isinstance(news, PresenceTold) and (ana.status_of(bens), ana.online(made.id)) == (status, 2):
                        break


async def test_edits_deletions_and_reactions_arrive(site: Site) -> None:
    async with client_of(site, "ana") as ana, client_of(site, "ben") as ben:
        mine = await ana.create_room("Lobby")
        theirs = await ben.room(mine.id)
        await theirs.join()
        ack = await mine.post("first")
        assert await next_bodies(theirs, 1) == ["first"]
        await mine.edit(ack.id, "second")
        await theirs.react(ack.id, "👍")
        await theirs.until(lambda room: bool(room.messages[0].reactions))
        assert theirs.messages[0].body == "second"
        assert theirs.timeline.mine(1) == ("👍",)
        await mine.delete(ack.id)
        await mine.until(lambda room: room.messages[0].deleted_at is not None)
        await theirs.until(lambda room: room.messages[0].deleted_at is not None)
        assert mine.messages == theirs.messages
        assert isinstance(await anext(theirs.events()), MessageChanged)


async def test_history_members_and_the_read_pointer(make_site: Callable[..., Site]) -> None:
    site = make_site()
    async with client_of(site, "ana") as ana, client_of(site, "ben") as ben:
        mine = await ana.create_room("Lobby")
        for number in range(15):
            await mine.post(str(number))
        theirs = await ben.room(mine.id, history=5)
        await theirs.join()
        assert [each.body for each in theirs.messages] == ["10", "11", "12", "13", "14"]
        page = await theirs.history(before=11, limit=4)
        assert [each.number for each in page.messages] == [7, 8, 9, 10]
        assert sorted(each.user.name for each in await mine.load_members()) == ["ana", "ben"]
        await mine.post("unread")
        await theirs.until(lambda room: room.state is not None and room.state.unread == 1)
        assert (await theirs.read(16)).unread == 0


async def test_refusals_are_typed(make_site: Callable[..., Site]) -> None:
    site = make_site()
    async with client_of(site, "ana") as ana, client_of(site, "eve") as eve:
        secret = await ana.create_room("Staff", kind="private")
        with pytest.raises(errors.RoomNotFound):
            await eve.room(secret.id)
        with pytest.raises(errors.ChatError) as refused:
            await eve.post(secret.id, "let me in")
        assert not refused.value.retry
        with pytest.raises(errors.MessageTooLong):
            await secret.post("x" * 10_001)


async def test_a_wrong_token_ends_it(make_site: Callable[..., Site]) -> None:
    site = make_site()
    async with ChatClient(site.url, token="wrong", proxy=None) as client:
        with pytest.raises(Stopped):
            await client.room("1")
    async with ChatClient(site.url, token="wrong", auth="frame", proxy=None) as client:
        with pytest.raises(Stopped):
            await client.room("1")


async def test_a_session_signs_in(make_site: Callable[..., Site]) -> None:
    site = make_site()
    cookies = {"sessionid": site.user("ana").session}
    async with ChatClient(site.url, cookies=cookies, proxy=None) as client, asyncio.timeout(10):
        await client.live()
        assert client.me is not None
        assert client.me.id == site.user("ana").id


async def test_a_killed_server_loses_and_doubles_nothing(site: Site) -> None:
    async with client_of(site, "ana") as ana, client_of(site, "ben") as ben:
        mine = await ana.create_room("Lobby")
        theirs = await ben.room(mine.id)
        await theirs.join()
        posts = [asyncio.create_task(room.post(f"{room.id}:{n}")) for n in range(100) for room in (mine, theirs)]
        while mine.timeline.last < 40:
            await mine.changed()
        await asyncio.to_thread(site.processes[0].restart)
        async with asyncio.timeout(60):
            await asyncio.gather(*posts)
        mine_seen, theirs_seen = await next_bodies(mine, 200), await next_bodies(theirs, 200)
        assert mine_seen == theirs_seen
        assert [each.number for each in mine.messages] == list(range(1, 201))


async def test_messages_cross_processes(make_site: Callable[..., Site]) -> None:
    site = make_site(processes=2)
    async with client_of(site, "ana", process=0) as ana, client_of(site, "ben", process=1) as ben:
        mine = await ana.create_room("Lobby")
        theirs = await ben.room(mine.id)
        await theirs.join()
        await asyncio.gather(*(mine.post(str(number)) for number in range(10)))
        assert await next_bodies(theirs, 10) == [str(number) for number in range(10)]
