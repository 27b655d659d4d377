"""One running scenario: the servers, what lies between them, the clients, and what is measured."""

import asyncio
import math
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from chat.client import SqliteOutbox
from chat.client.websocket import TokenSource
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.proxy import Proxy
from tests.rig.redis_server import RedisServer
from tests.rig.site import Person, Site, SiteProcess
from torture import final_state
from torture.gateway import Gateway
from torture.players import Client, Player
from torture.python_client import PythonClient
from torture.recorder import Recorder
from torture.workload import Mix, Workload

SAMPLE_S = 1.0
PROGRESS_S = 5.0
BUG_PATIENCE_S = 6.0
"""How long to wait for everybody with a seeded bug. A client that misses something waits up to 5 s until it asks."""


@dataclass(frozen=True)
class Options:
    """What the command line says about every scenario.

    Args:
        seconds: How long the load lasts; None: as long as the scenario wants.
        size: Multiplies the number of people and of repeats; below 1 in the short form of the test suite.
        pages: Clients in a browser, beside as many reference clients as the scenario wants.
        bug: A seeded bug (torture/seeded_bugs.py), which the run must find.
    """

    seed: int
    database: str = "postgresql"
    seconds: float | None = None
    size: float = 1.0
    pages: int = 0
    bug: str = ""
    is_quiet: bool = False


@dataclass(frozen=True)
class Criterion:
    """One pass number of a scenario."""

    what: str
    value: float | None
    limit: float
    unit: str
    is_met: bool

    def __str__(self) -> str:
        value = "never" if self.value is None else f"{self.value:g} {self.unit}".strip()
        sign = "ok  " if self.is_met else "FAIL"
        return f"{sign} {self.what}: {value} (limit {self.limit:g})"


@dataclass
class Servers:
    """What scenarios run on; a test session lends its own."""

    sites: SiteFactory
    postgres: Callable[[], PostgresServer]
    redis: Callable[[], RedisServer]


class Stage:
    """What a scenario works with. ``Stage.open`` starts everything, and ends it whatever happens."""

    def __init__(self, options: Options, scenario: str, recorder: Recorder):
        self.options = options
        self.scenario = scenario
        self.recorder = recorder
        self.rng = random.Random(f"{scenario}/{options.seed}")
        self.stretch = 1.0
        """By how much limits of time are longer than on a machine that does nothing else: its load before, per core."""
        self.criteria: list[Criterion] = []
        self.figures: dict[str, Any] = {}
        self.clients: list[Client] = []
        self.rooms: list[str] = []
        self.open_rooms: list[str] = []
        self.private_rooms: list[str] = []
        self.site: Site
        self.postgres: PostgresServer | None = None
        self.redis: RedisServer | None = None
        self.database_link: Proxy | None = None
        self.redis_link: Proxy | None = None
        self.gateway: Gateway
        self._stack: AsyncExitStack
        self._people: list[Person] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._processes_away: set[SiteProcess] = set()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        options: Options,
        scenario: str,
        servers: Servers,
        *,
        processes: int,
        has_redis: bool,
        has_links: bool = True,
        env: dict[str, str] | None = None,
        daphne_flags: tuple[str, ...] | None = None,
    ) -> "AsyncIterator[Stage]":
        stage = cls(options, scenario, Recorder())
        async with AsyncExitStack() as stack:
            stage._stack = stack
            backend = Backend(options.database, "redis" if has_redis else "memory")
            await stage._start_servers(servers, backend, processes, has_links, env or {}, daphne_flags)
            stack.push_async_callback(stage._close_clients)
            yield stage

    async def _start_servers(
        self,
        servers: Servers,
        backend: Backend,
        processes: int,
        has_links: bool,
        env: dict[str, str],
        daphne_flags: tuple[str, ...] | None,
    ) -> None:
        ports: dict[str, int] = {}
        if backend.database == "postgresql":
            self.postgres = await asyncio.to_thread(servers.postgres)
            if has_links:
                self.database_link = self._stack.enter_context(Proxy(self.postgres.port))
            ports["database_port"] = (self.database_link or self.postgres).port
        if backend.layer == "redis":
            self.redis = await asyncio.to_thread(servers.redis)
            if has_links:
                self.redis_link = self._stack.enter_context(Proxy(self.redis.port))
            ports["redis_port"] = (self.redis_link or self.redis).port
        variables = {"LOG_LEVEL": "WARNING", "TORTURE_BUG": self.options.bug, **env}
        self.site = await asyncio.to_thread(
            lambda: servers.sites(backend, processes=0, env=variables, **ports)  # type: ignore[arg-type]
        )
        self.failpoints = self.site.folder / "failpoints"
        self.failpoints.mkdir()
        self.site.environment["TORTURE_FAILPOINTS"] = str(self.failpoints)
        self.site.application = "torture.server:application"
        self.site.daphne_flags = daphne_flags
        await asyncio.to_thread(self.site.start, processes)
        self._stack.callback(self.site.stop)
        self.gateway = await self._stack.enter_async_context(
            Gateway(lambda: [each.port for each in self.site.processes])
        )
        self.database = final_state.Database(self._database_url())

    def _database_url(self) -> str:
        url = self.site.environment["DATABASE_URL"]
        if self.postgres and self.database_link:  # past the proxy, which may be broken
            return url.replace(f":{self.database_link.port}/", f":{self.postgres.port}/")
        return url

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}"

    async def enter(self, context: AbstractAsyncContextManager[Any]) -> Any:
        """Enter a context that is left when the stage ends."""
        return await self._stack.enter_async_context(context)

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        self._stack.push_async_callback(close)

    def scaled(self, count: float, *, least: int = 2) -> int:
        return max(least, round(count * self.options.size))

    def seconds(self, wanted: float) -> float:
        return self.options.seconds if self.options.seconds is not None else wanted

    # People and rooms --------------------------------------------------------------------------------------------

    async def people(self, count: int) -> list[Person]:
        """Add people to the site. The first of all owns the rooms."""
        names = [f"p{len(self._people) + number}" for number in range(count)]
        made = await asyncio.to_thread(self.site.add_people, *names)
        self._people += made
        return made

    async def make_rooms(self, *, open: int, private: int, members: Sequence[Person] | None = None) -> None:
        """Make rooms that all people are in."""
        owner, *others = members or self._people
        keys = [each.id for each in others]
        kinds = ["open"] * open + ["private"] * private
        made = await asyncio.to_thread(
            self.site.python,
            "from chat import api; from django.contrib.auth import get_user_model\n"
            f"users = get_user_model().objects.in_bulk({[owner.id, *keys]!r})\n"
            f"owner, *others = [users[int(each)] for each in {[owner.id, *keys]!r}]\n"
            f"for place, kind in enumerate({kinds!r}):\n"
            "    print(api.create_room(f'{kind} {place}', owner, kind=kind, members=others).pk)",
        )
        ids = made.split()
        self.rooms += ids
        self.open_rooms += ids[:open]
        self.private_rooms += ids[open:]

    def player(self, person: Person, rooms: Sequence[str], *, ordered: bool) -> Player:
        self.recorder.state("client", client=person.name, user=person.id, ordered=ordered)
        rng = random.Random(f"{self.options.seed}/{person.name}")
        return Player(person.name, person.id, self.recorder, rng, rooms=list(rooms))

    def player_in_secret(self, person: Person) -> Player:
        """A player of whom the history knows nothing: it stands for nobody's application, and only looks."""
        return Player(person.name, person.id, Recorder(), random.Random(0), rooms=list(self.rooms))

    async def python_client(
        self,
        person: Person,
        rooms: Sequence[str] | None = None,
        *,
        url: str | None = None,
        token: TokenSource | None = None,
        **options: Any,
    ) -> PythonClient:
        player = self.player(person, self.rooms if rooms is None else rooms, ordered=True)
        client = PythonClient(url or self.url, player, token=token or person.token, **options)
        await client.start()
        self.clients.append(client)
        return client

    async def crowd(self, clients: int, *, open: int = 2, private: int = 2, rooms_each: int | None = None) -> None:
        """Add people, rooms and a reference client for everybody, and wait until all of them are live.

        ``options.pages`` more people come with a browser. The owner of the rooms is not one of them.
        """
        count = self.scaled(clients)
        people = await self.people(count + self.options.pages)
        await self.make_rooms(open=open, private=private)
        for person in people[:count]:
            rooms = self.rooms if rooms_each is None else self.rng.sample(self.rooms, min(rooms_each, len(self.rooms)))
            # Every second one keeps its outbox in a file, so that it may be ended and started again.
            file = self.site.folder / f"{person.name}.outbox" if len(self.clients) % 2 else None
            await self.python_client(person, rooms, outbox=partial(SqliteOutbox, file) if file else None)
        if self.options.pages:
            from torture.browser_client import open_pages  # only who wants a browser needs Playwright

            self.clients += await open_pages(self, people[count:])
        await self.until_live()
        self.watch()

    def watch(self) -> None:
        """Sample cursors and memory from now on, and print progress."""
        self._tasks += [asyncio.create_task(self._sample()), asyncio.create_task(self._progress())]

    async def until_live(self, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s * self.stretch):
            while not all(
                [each.is_live and len(await each.heads()) == len(each.player.rooms) for each in self.clients]
            ):
                await asyncio.sleep(0.1)

    def workload(self, rate: float, mix: Mix | None = None, clients: Sequence[Client] | None = None) -> Workload:
        owner = next((each for each in self.clients if isinstance(each, PythonClient)), None)
        is_owner = owner is not None and owner.player.user == self._people[0].id
        return Workload(
            clients or self.clients,
            owner if is_owner else None,
            self.open_rooms,
            self.private_rooms,
            self.recorder,
            random.Random(f"load/{self.scenario}/{self.options.seed}"),
            rate,
            mix or Mix(),
        )

    # Measuring -------------------------------------------------------------------------------------------------

    def expect(
        self,
        what: str,
        value: float | None,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        unit: str = "",
    ) -> None:
        """State a pass number of the scenario. None as value: it never happened."""
        limit = at_most if at_most is not None else at_least
        assert limit is not None
        if unit in ("s", "ms") and at_most is not None:
            limit = at_most = round(at_most * self.stretch, 3)
        is_met = value is not None and (value <= limit if at_most is not None else value >= limit)
        shown = None if value is None else round(value, 3)
        self.criteria.append(Criterion(what, shown, limit, unit, is_met))

    def acks(self, since: float = 0.0, until: float = math.inf) -> list[float]:
        """How long each acknowledgement took, in seconds, of messages that were posted within a stretch of time."""
        posted = {(each["user"], each["room"], each["id"]): each["t"] for each in self._of("post")}
        found = []
        for ok in self._of("ok"):
            at = posted.get((ok["user"], ok["room"], ok["id"]))
            if at is not None and since <= at < until:
                found.append(ok["t"] - at)
        return sorted(found)

    def showings(self, since: float = 0.0, until: float = math.inf, clients: set[str] | None = None) -> list[float]:
        """How long messages took from being posted to being shown to each client."""
        posted = {(each["user"], each["room"], each["id"]): each["t"] for each in self._of("post")}
        found = []
        for show in self._of("show"):
            at = posted.get((show["author"], show["room"], show["id"]))
            if at is not None and since <= at < until and (clients is None or show["client"] in clients):
                found.append(show["t"] - at)
        return sorted(found)

    def count(self, kind: str, since: float = 0.0, until: float = math.inf) -> int:
        return sum(since <= each["t"] < until for each in self._of(kind))

    def _of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.recorder.events if each["e"] == kind]

    def rss_mib(self, process: SiteProcess) -> float:
        return _rss_mib(process.pid)

    async def first_ack_after(self, t: float, within_s: float = 60.0) -> float | None:
        """Seconds from ``t`` until the next acknowledgement of a message; None: none came in time."""
        place = len(self.recorder.events)
        while self.recorder.now() - t < within_s:
            await asyncio.sleep(0.02)
            for event in self.recorder.events[place:]:
                if event["e"] == "ok":
                    return float(event["t"] - t)
            place = len(self.recorder.events)
        return None

    # The end -----------------------------------------------------------------------------------------------------

    async def settle(self, within_s: float) -> float | None:
        """Wait until nothing is under way, and every client has shown and holds all; note how long that took."""
        began = self.recorder.now()
        seconds = None
        within_s = self.stretch * (min(within_s, BUG_PATIENCE_S) if self.options.bug else within_s)
        while self.recorder.now() - began < within_s:
            if await self._is_settled():
                seconds = round(self.recorder.now() - began, 2)
                break
            await asyncio.sleep(0.2)
        self.recorder.note("quiet", seconds=seconds)
        return seconds

    async def _is_settled(self) -> bool:
        for client in self.clients:
            if await client.waiting():
                return False
        try:
            heads, present = await asyncio.to_thread(lambda: (self.database.heads(), self.database.present()))
        except Exception:
            return False  # the database is on its way back
        for client in self.clients:
            here = await client.heads()
            for room in client.player.rooms:
                if room not in self.open_rooms and (room, client.player.user) not in present:
                    continue
                epoch, head, number = heads[room]
                if here.get(room) != (epoch, head) or client.player.shown.get(room, 0) < number:
                    return False
        return True

    async def end(self) -> None:
        """Record what every client holds and what is stored."""
        for task in self._tasks:
            task.cancel()
        for client in self.clients:
            for room, ids in (await client.waiting()).items():
                self.recorder.note("outbox", client=client.player.name, room=room, ids=ids)
            await client.record_views()
        await asyncio.to_thread(final_state.record, self.database, self.recorder)

    async def _close_clients(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(client.close() for client in self.clients), return_exceptions=True)

    async def _sample(self) -> None:
        while True:
            for client in self.clients:
                if isinstance(client, PythonClient):
                    client.sample()
            for number, process in enumerate(self.site.processes):
                if process.is_running:
                    self.recorder.note("memory", process=number, mib=_rss_mib(process.pid), cpu_s=_cpu_s(process.pid))
            asleep_at = self.recorder.now()
            await asyncio.sleep(SAMPLE_S)
            # How late this program itself is: what it measures is as late, and that is not the server's doing.
            self.recorder.note("lag", seconds=round(self.recorder.now() - asleep_at - SAMPLE_S, 3))

    async def _progress(self) -> None:
        place, posts, acks, shows = 0, 0, 0, 0
        while not self.options.is_quiet:
            await asyncio.sleep(PROGRESS_S)
            new = self.recorder.events[place:]
            place += len(new)
            posts += sum(each["e"] == "post" for each in new)
            acks += sum(each["e"] == "ok" for each in new)
            shows += sum(each["e"] == "show" for each in new)
            faults = ", ".join(self.recorder.running_faults.values()) or "-"
            live = sum(each.is_live for each in self.clients)
            line = f"posted {posts:6,}  acknowledged {acks:6,}  shown {shows:8,}  live {live}/{len(self.clients)}"
            print(f"  {self.recorder.now():6.1f} s  {line}  fault: {faults}", file=sys.stderr, flush=True)


def _rss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmRSS")), 0.0)


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], share: float) -> float | None:
    """Of sorted values, the one below which ``share`` of them lie; None without values."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


Play = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """A procedure with faults and pass numbers.

    Args:
        play: Makes people and clients, runs the load, injects faults, states its pass numbers, and settles.
        has_links: Whether the network to the database and to Redis can be broken. It then leads through this program,
            which makes a busy server slower: not for scenarios that measure one.
        databases: On which it makes sense.
        bounds: What the checker holds the history to; see ``torture.checker.EVENTS``, "meta".
    """

    name: str
    title: str
    play: Play
    processes: int = 2
    has_redis: bool = True
    has_links: bool = True
    databases: tuple[str, ...] = ("postgresql", "sqlite")
    bounds: dict[str, float] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    daphne_flags: tuple[str, ...] | None = None
