"""Presence over real processes: with many tabs, after a kill, a stop, and without Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.redis_server import RedisServer
from tests.rig.site import Site

STATE_S = 2.0
WITHIN_S = 30.0
"""Silence of the layer is noticed after 4 s, and after 6 s the absence of a process; the rest is for a busy machine."""


def shown(talk: Talk, user_id: str) -> str | None:
    """What the talk was last told of a person."""
    told = [each["users"][user_id] for each in talk.of_type("presence") if user_id in each["users"]]
    return str(told[-1]) if told else None


def count(talk: Talk, room: str) -> int | None:
    """What the talk was last told of a room: how many are connected."""
    told = [each["online"][room] for each in talk.of_type("presence") if room in each["online"]]
    return told[-1] if told else None


async def becomes(talk: Talk, user_id: str, status: str, wait_s: float = WITHIN_S) -> None:
    await talk._until(lambda: shown(talk, user_id) == status, f"{status} of {user_id}", wait_s)


async def counts(talk: Talk, room: str, number: int | None, wait_s: float = WITHIN_S) -> None:
    await talk._until(lambda: count(talk, room) == number, f"{number} in {room}", wait_s)


@pytest.fixture
def state_s() -> float:
    return STATE_S


@pytest.fixture
def two(make_site: SiteFactory, backend: Backend, state_s: float) -> Site:
    return make_site(backend, processes=2, env={"CHAT_PRESENCE_S": str(state_s)})


@pytest.fixture
async def room(two: Site) -> str:
    """A room of ana and ben."""
    talk = await talk_as(two.ws_url, two.user("ana"))
    room = (await talk.call("room.create", name="Staff", kind="private"))["room"]["id"]
    await talk.call("member.add", room=room, user=two.user("ben").id)
    await talk.close()
    return str(room)


@pytest.fixture
async def ana(two: Site, room: str) -> AsyncIterator[Talk]:
    """ana on the first process, in the room."""
    talk = await talk_as(two.processes[0].ws_url, two.user("ana"))
    await talk.follow(room)
    yield talk
    await talk.close()


async def bens_tab(two: Site, process: int = 1) -> Talk:
    return await talk_as(two.processes[process].ws_url, two.user("ben"))


@pytest.mark.parametrize("state_s", [3600.0])
@pytest.mark.parametrize("backend", [Backend("postgresql", "redis")], ids=str, indirect=True)
async def test_three_tabs_over_two_processes_are_one_person(two: Site, room: str, ana: Talk) -> None:
    ben = two.user("ben").id
    await becomes(ana, two.user("ana").id, "online")
    await becomes(ana, ben, "offline")
    assert "presence" in (await ana.event("hello"))["features"]
    tabs = [await bens_tab(two, place % 2) for place in range(3)]
    await becomes(ana, ben, "online")
    await counts(ana, room, 2)
    state = (await tabs[0].call("room.list", scope="mine"))["rooms"]
    assert {each["id"]: each["online"] for each in state}[room] == 2
    for each in tabs[:2]:
        assert await each.call("presence.set", status="away") == {}
    await tabs[2].close()
    await becomes(ana, ben, "away")
    await tabs[0].call("presence.set", status="online")
    await becomes(ana, ben, "online")
    for each in tabs[:2]:
        await each.close()
    await becomes(ana, ben, "offline")
    await counts(ana, room, 1)
    told = [each["users"][ben] for each in ana.of_type("presence") if ben in each["users"]]
    told = told[told.index("offline") :]
    assert told[:4] == ["offline", "online", "away", "online"]
    assert told[4:] in (["offline"], ["away", "offline"]), "the processes may tell one after the other that a tab ended"


@pytest.mark.parametrize("backend", [Backend("postgresql", "redis")], ids=str, indirect=True)
async def test_after_a_kill_whoever_comes_back_elsewhere_was_never_away_and_the_others_end(
    two: Site, room: str, ana: Talk
) -> None:
    ben, cleo = two.user("ben").id, two.user("cleo").id
    await ana.call("member.add", room=room, user=cleo)
    bens, cleos = await bens_tab(two), await talk_as(two.processes[1].ws_url, two.user("cleo"))
    await becomes(ana, ben, "online")
    await becomes(ana, cleo, "online")
    two.processes[1].kill()
    again = await bens_tab(two, 0)
    await becomes(ana, cleo, "offline")
    assert [each["users"][ben] for each in ana.of_type("presence") if ben in each["users"]][-1] == "online"
    assert "offline" not in [each["users"][ben] for each in ana.of_type("presence") if ben in each["users"]][1:]
    for each in (bens, cleos, again):
        await each.close()


@pytest.mark.parametrize("backend", [Backend("postgresql", "redis")], ids=str, indirect=True)
async def test_the_people_of_a_stopped_process_end_and_come_back_with_it(two: Site, room: str, ana: Talk) -> None:
    ben = two.user("ben").id
    bens = await bens_tab(two)
    await becomes(ana, ben, "online")
    two.processes[1].pause()
    await becomes(ana, ben, "offline")
    two.processes[1].resume()
    await becomes(ana, ben, "online")
    await bens.close()


@pytest.mark.parametrize("backend", [Backend("sqlite", "redis")], ids=str, indirect=True)
async def test_without_redis_whoever_is_elsewhere_is_unknown_and_known_again_with_it(
    two: Site, room: str, ana: Talk, redis_server: RedisServer
) -> None:
    me, ben = two.user("ana").id, two.user("ben").id
    bens = await bens_tab(two)
    await becomes(ana, ben, "online")
    await asyncio.to_thread(redis_server.kill)
    await becomes(ana, ben, "unknown")
    await counts(ana, room, None)
    assert shown(ana, me) == "online"
    here = await bens_tab(two, 0)
    await becomes(ana, ben, "online")
    await here.close()
    await becomes(ana, ben, "unknown")
    await asyncio.to_thread(redis_server.start)
    await becomes(ana, ben, "online")
    await bens.close()
    await becomes(ana, ben, "offline")
    told = [each["users"][ben] for each in ana.of_type("presence") if ben in each["users"]]
    assert "offline" not in told[told.index("unknown") : -1]
