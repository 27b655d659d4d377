"""Short lives: sockets, tokens and connections that end all the time must leave nothing behind and lose nothing."""

import asyncio
import json
import time

from chat.client import ChatClient
from tests.rig.site import Person
from torture.python_client import PythonClient
from torture.raw_socket import RawSocket
from torture.stage import Scenario, Stage
from torture.workload import POSTS_ONLY

TOKEN_S = 15.0
ATTEMPTS_AT_MOST = 3


class ShortLivedTokens:
    """One person's tokens, each of which ends ``TOKEN_S`` after the one before it. A call returns one that is good."""

    def __init__(self, made_at: float, tokens: list[str]):
        self._made_at, self._tokens = made_at, tokens

    def __call__(self) -> str:
        return self._tokens[min(len(self._tokens) - 1, int((time.time() - self._made_at) / TOKEN_S))]


async def short_lives(stage: Stage) -> None:
    """The server ends each connection after 20 s, each token ends after 15 s, and it looks every 5 s."""
    people = await stage.people(stage.scaled(6) + 1)
    await stage.make_rooms(open=1, private=1)
    seconds = max(30.0, stage.seconds(150))
    made_at, tokens = await asyncio.to_thread(_make_tokens, stage, people, int(seconds / TOKEN_S) + 8)
    *renewing, forgetful = people
    for person in renewing:
        await stage.python_client(person, token=ShortLivedTokens(made_at, tokens[person.id]))
    await stage.until_live()
    stage.watch()
    attempts: list[float] = []

    def the_same_again() -> str:
        attempts.append(time.time())
        return tokens[forgetful.id][0]

    async with ChatClient(stage.url, token=the_same_again, proxy=None) as stubborn:
        await stubborn.live()
        before = len(attempts)
        await stage.workload(20, POSTS_ONLY).run(seconds)
        stage.expect("attempts with a token that has ended", len(attempts) - before, at_most=ATTEMPTS_AT_MOST)
        stage.expect("that client has stopped", float(stubborn.state == "stopped"), at_least=1)
    stage.expect("everybody is up to date", await stage.settle(40), at_most=20, unit="s")
    ended = sum(each.player.closed_with[1000] for each in stage.clients)
    stage.expect(
        "connections that the server ended with 1000 or because of their token",
        ended + sum(each.player.closed_with[4501] for each in stage.clients),
        at_least=len(renewing),
    )


def _make_tokens(stage: Stage, people: list[Person], count: int) -> tuple[float, dict[str, list[str]]]:
    printed = stage.site.python(
        "import json, time\n"
        "from datetime import timedelta\n"
        "from django.contrib.auth import get_user_model; from django.utils import timezone\n"
        "from chat.models import Token; from chat.access.identity import digest; from chat.services import tokens\n"
        "start, found = timezone.now(), {}\n"
        f"for user in get_user_model().objects.filter(pk__in={[int(each.id) for each in people]!r}):\n"
        f"    made = found[str(user.pk)] = [tokens.issue(by=user, user=user) for _ in range({count})]\n"
        "    for place, each in enumerate(made):\n"
        f"        ends = start + timedelta(seconds={TOKEN_S} * (place + 1))\n"
        "        Token.objects.filter(digest=digest(each)).update(expires_at=ends)\n"
        "print(json.dumps([start.timestamp(), found]))"
    )
    start, found = json.loads(printed)
    return start, found


async def leak(stage: Stage) -> None:
    """Connections that come and go, well and badly: nothing of them may stay."""
    assert stage.redis
    process = stage.site.processes[0]
    people = await stage.people(100)
    await stage.make_rooms(open=3, private=0)
    cycles, at_once = stage.scaled(20_000), 40
    free = asyncio.Semaphore(at_once)

    async def cycle(number: int) -> None:
        async with free:
            raw = await RawSocket.open(process, people[number % len(people)])
            raw.send({"type": "sync", "ref": 1, "rooms": dict.fromkeys(stage.rooms)})
            if number % 3:
                await raw.read_some()
            if number % 4 == 0:
                raw.send_text(b"no JSON")
            if number % 5 == 0:
                raw.send({"type": "message.post", "ref": 2, "room": "0", "client_id": "no", "body": "x"})
            await raw.drain()
            raw.abort()

    async def run(first: int, count: int) -> None:
        outcomes = await asyncio.gather(*(cycle(first + place) for place in range(count)), return_exceptions=True)
        failed = [each for each in outcomes if isinstance(each, Exception)]
        stage.figures["cycles that could not connect"] = stage.figures.get("cycles that could not connect", 0) + len(
            failed
        )

    warm = cycles // 4
    step = max(100, cycles // 20)
    with stage.recorder.fault("connections come and go"):
        for first in range(0, warm, step):
            await run(first, step)
        await asyncio.sleep(5)
        before = stage.rss_mib(process)
        for first in range(warm, cycles, step):
            await run(first, step)
        await asyncio.sleep(5)
    after = stage.rss_mib(process)
    stage.figures["memory after warming up, and at the end, in MiB"] = [before, after]
    slope = (after - before) * 1024 / (cycles - warm)
    stage.expect("memory that a cycle leaves", slope, at_most=1.0 if cycles > 5000 else 4.0, unit="KiB")
    await asyncio.sleep(36)  # a feed stays for 30 s, for clients that reconnect
    left = await asyncio.to_thread(lambda: len(stage.redis.client().pubsub_channels("*group*")) if stage.redis else 0)
    # A process stays in the group of everybody for good; those of rooms and people must be gone.
    stage.expect("groups of the channel layer that somebody is still in", left, at_most=1)
    client = await stage.python_client(people[0])
    other = await stage.python_client(people[1])
    await stage.until_live()
    client.post(stage.rooms[0])
    assert isinstance(other, PythonClient)
    stage.expect("the site still works", await stage.settle(20), at_most=10, unit="s")


SCENARIOS = [
    Scenario("short-lives", "T14: connections end after 20 s, and tokens after 15 s", short_lives,
             env={"CHAT_REVALIDATE_S": "5"}, daphne_flags=("--websocket_timeout", "20")),
    Scenario("leak", "T16: 20,000 connections come and go, well and badly", leak, processes=1),
]  # fmt: skip
