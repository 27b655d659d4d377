"""The promise, whole: servers die in mid-sentence again and again, and every message is there once, for everybody."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from chat.client import ChatClient, MessagePosted, Room
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.site import Person, Site, SiteProcess

SEED = 20261120


@dataclass(frozen=True)
class Size:
    """How much is said. Every length is above the 1,000 changes that a catch-up brings: a reset is part of it."""

    talkers: int
    each: int
    kills: int

    @property
    def total(self) -> int:
        return self.talkers * self.each


SHORT, LONG = Size(talkers=10, each=120, kills=5), Size(talkers=20, each=100, kills=9)


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    return LONG if request.config.getoption("long") else SHORT


class Progress:
    """How many messages have been acknowledged, to all talkers together."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Condition()

    async def step(self) -> None:
        async with self._changed:
            self._count += 1
            self._changed.notify_all()

    async def reach(self, count: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._count >= count)


class Talker:
    """A reference client that posts its share and notes what it is shown."""

    def __init__(self, client: ChatClient, room: Room, name: str, progress: Progress, size: Size):
        self.progress = progress
        self.size = size
        self.client = client
        self.room = room
        self.name = name
        self.acknowledged: dict[str, int] = {}
        self.shown: list[tuple[int, str]] = []

    async def talk(self) -> None:
        for place in range(self.size.each):
            body = f"{self.name} says {place}"
            self.acknowledged[body] = (await self.room.post(body)).number
            await self.progress.step()

    async def listen(self) -> None:
        async for event in self.room.events():
            if isinstance(event, MessagePosted):
                self.shown.append((event.message.number, event.message.body))
                if len(self.shown) == self.size.total:
                    return

    async def scroll_to_the_top(self) -> None:
        """Load what a client that was away for more than 1,000 messages was told to forget."""
        await self.room.until(lambda room: bool(room.messages))
        while self.room.messages[0].number > 1:
            await self.room.history(before=self.room.messages[0].number, limit=100)


async def kill_in_turn(processes: Sequence[SiteProcess], progress: Progress, size: Size, dice: random.Random) -> None:
    """Kill one process after the other while people talk, and start it again."""
    for turn in range(size.kills):
        await progress.reach(int(size.total * (turn + dice.random() * 0.8) / size.kills))
        await asyncio.to_thread(processes[turn % len(processes)].restart)


async def run(site: Site, size: Size) -> None:
    people: list[Person] = await asyncio.to_thread(
        site.add_people, *[f"talker{place}" for place in range(size.talkers)]
    )
    room_id = site.python(
        "from chat import api; from django.contrib.auth.models import User\n"
        "people = list(User.objects.filter(username__startswith='talker'))\n"
        "print(api.create_room('Everybody', people[0], kind='private', members=people[1:]).pk)"
    ).strip()
    dice = random.Random(SEED)
    start = time.perf_counter()
    async with asyncio.timeout(150):
        talkers = []
        progress = Progress()
        for place, person in enumerate(people):
            process = site.processes[place % len(site.processes)]
            client = ChatClient(process.url, token=person.token, keep=2 * size.total)
            await client.__aenter__()
            talkers.append(Talker(client, await client.room(room_id), person.name, progress, size))
        try:
            listening = [asyncio.create_task(talker.listen()) for talker in talkers]
            await asyncio.gather(
                kill_in_turn(site.processes, progress, size, dice), *[talker.talk() for talker in talkers]
            )
            await asyncio.gather(*listening)
            await asyncio.gather(*[talker.scroll_to_the_top() for talker in talkers])
        finally:
            await asyncio.gather(*[talker.client.aclose() for talker in talkers])
    stored = json.loads(
        site.python(
            "import json; from chat.models import Message, Room\n"
            f"rows = Message.objects.filter(room={room_id}).order_by('number')\n"
            "print(json.dumps([[m.number, m.body, m.seq] for m in rows]))"
        )
    )
    print(f"{size.total} messages, {size.kills} kills, {time.perf_counter() - start:.1f} s")
    timeline = [(number, body) for number, body, _ in stored]
    assert [number for number, _ in timeline] == list(range(1, size.total + 1)), "numbers 1..n, each once"
    assert {body for _, body in timeline} == {
        f"{person.name} says {place}" for person in people for place in range(size.each)
    }, "every message, and none twice"
    assert [seq for _, _, seq in stored] == sorted({seq for _, _, seq in stored})
    places = {body: number for number, body in timeline}
    for talker in talkers:
        assert talker.acknowledged == {body: places[body] for body in talker.acknowledged}
        assert len(talker.acknowledged) == size.each
        assert talker.shown == timeline, f"{talker.name} was shown everything once, in order"
        assert [(each.number, each.body) for each in talker.room.messages] == timeline
        own = [talker.acknowledged[f"{talker.name} says {place}"] for place in range(size.each)]
        assert own == sorted(own), "each author's messages stand in the order written"


@pytest.mark.timeout(240)
async def test_three_processes_killed_in_turn_on_postgresql_and_redis(make_site: SiteFactory, size: Size) -> None:
    await run(make_site(Backend("postgresql", "redis"), processes=3), size)


@pytest.mark.timeout(240)
async def test_one_process_killed_again_and_again_on_sqlite(make_site: SiteFactory, size: Size) -> None:
    await run(make_site(Backend("sqlite", "memory")), size)
