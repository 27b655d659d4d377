"""Redis carries hints and nothing else: killed or hung, it costs the talkers seconds of delay and no message."""

import asyncio
import time
from statistics import median
from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.talk import Talk, talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import BACKENDS, Backend
from tests.rig.proxy import Proxy
from tests.rig.redis_server import RedisServer
from tests.rig.site import Site

CROSSING_S = 12.0
"""Heads are compared every 3 s; the rest is for a busy machine."""


@pytest.fixture
def two(make_site: SiteFactory, backend: Any) -> Site:
    """A site of two processes."""
    return make_site(backend, processes=2)


@pytest.fixture
async def pair(two: Site) -> Any:
    """ana on the first process and ben on the second, in one room."""
    ana = await talk_as(two.processes[0].ws_url, two.user("ana"))
    ben = await talk_as(two.processes[1].ws_url, two.user("ben"))
    room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
    await ana.call("member.add", room=room, user=two.user("ben").id)
    await ana.follow(room)
    await ben.follow(room)
    yield ana, ben, room
    await ana.close()
    await ben.close()


async def ack_s(talk: Talk, room: str, body: str) -> float:
    start = time.perf_counter()
    await talk.post(room, body)
    return time.perf_counter() - start


async def talk_for(pair: tuple[Talk, Talk, str], word: str, count: int) -> list[float]:
    """Both talk; how long each acknowledgement took. Every message crosses in time."""
    ana, ben, room = pair
    acks = []
    for place in range(count):
        acks.append(await ack_s(ana, room, f"{word} ana {place}"))
        acks.append(await ack_s(ben, room, f"{word} ben {place}"))
    await ben.message(f"{word} ana {count - 1}", wait_s=CROSSING_S)
    await ana.message(f"{word} ben {count - 1}", wait_s=CROSSING_S)
    await ben.message(f"{word} ben {count - 1}", wait_s=CROSSING_S)
    return acks


def assert_no_publish_on_the_way(acks: list[float]) -> None:
    """A publish to a dead Redis costs a second or more: none may lie on the way to an acknowledgement. One or two may
    have waited for the machine."""
    assert sorted(acks)[-3] < 1.0, acks


async def crosses_at_once(pair: tuple[Talk, Talk, str], within_s: float = 40.0) -> None:
    """Return when a message crosses faster than a comparison of heads is likely to bring it, four times in a row."""
    ana, ben, room = pair
    row = 0
    async with asyncio.timeout(within_s):
        while row < 4:
            body = f"at once? {uuid4()}"
            start = time.perf_counter()
            await ana.post(room, body)
            await ben.message(body, wait_s=CROSSING_S)
            await ana.message(body, wait_s=CROSSING_S)
            row = row + 1 if time.perf_counter() - start < 0.6 else 0


def timeline(talk: Talk) -> list[int]:
    return [each["message"]["number"] for each in talk.of_type("message.posted")]


redis_backends = pytest.mark.parametrize(
    "backend", [each for each in BACKENDS if each.layer == "redis"], ids=str, indirect=True
)


@redis_backends
async def test_redis_killed_while_people_talk(two: Site, pair: tuple[Talk, Talk, str], redis_server: RedisServer):
    ana, ben, _ = pair
    before = await talk_for(pair, "before", 10)
    await asyncio.to_thread(redis_server.kill)
    during = await talk_for(pair, "during", 10)
    await asyncio.to_thread(redis_server.start)
    await crosses_at_once(pair)
    after = await talk_for(pair, "after", 10)
    times = {"before": before, "down": during, "after": after}
    print("ack p50, ms:", {name: round(median(acks) * 1e3, 1) for name, acks in times.items()})
    assert_no_publish_on_the_way(during)
    assert timeline(ana) == timeline(ben) == list(range(1, len(timeline(ana)) + 1))
    assert (ana.code, ben.code) == (None, None), "nobody was disconnected"


@redis_backends
async def test_redis_hung_while_people_talk(two: Site, pair: tuple[Talk, Talk, str], redis_server: RedisServer):
    ana, ben, _ = pair
    await talk_for(pair, "before", 5)
    redis_server.pause()
    try:
        during = await talk_for(pair, "during", 10)
    finally:
        redis_server.resume()
    await crosses_at_once(pair)
    assert_no_publish_on_the_way(during)
    assert timeline(ana) == timeline(ben) == list(range(1, len(timeline(ana)) + 1))


@redis_backends
async def test_a_site_started_without_redis_works_and_finds_it_later(
    make_site: SiteFactory, backend: Any, redis_server: RedisServer
):
    site = make_site(backend, processes=2)
    redis_server.kill()
    for process in site.processes:
        await asyncio.to_thread(process.restart)
    ana = await talk_as(site.processes[0].ws_url, site.user("ana"))
    ben = await talk_as(site.processes[1].ws_url, site.user("ben"))
    room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
    await ana.call("member.add", room=room, user=site.user("ben").id)
    await ana.follow(room)
    await ben.follow(room)
    await talk_for((ana, ben, room), "without", 2)
    await asyncio.to_thread(redis_server.start)
    await crosses_at_once((ana, ben, room))
    await ana.close()
    await ben.close()


@pytest.mark.parametrize("backend", [Backend("sqlite", "redis")], ids=str, indirect=True)
async def test_a_subscription_that_ended_silently_is_renewed(
    make_site: SiteFactory, backend: Any, redis_server: RedisServer
):
    """The connection stays open and nothing comes: no error tells, only the seat's own probe."""
    with Proxy(redis_server.port) as proxy:
        site = make_site(backend, processes=2, redis_port=proxy.port)
        ana = await talk_as(site.processes[0].ws_url, site.user("ana"))
        ben = await talk_as(site.processes[1].ws_url, site.user("ben"))
        room = (await ana.call("room.create", name="Staff", kind="private"))["room"]["id"]
        await ana.call("member.add", room=room, user=site.user("ben").id)
        await ana.follow(room)
        await ben.follow(room)
        await crosses_at_once((ana, ben, room))
        proxy.swallow_answers()
        await talk_for((ana, ben, room), "frozen", 2)
        await crosses_at_once((ana, ben, room), within_s=60.0)
        await ana.close()
        await ben.close()
