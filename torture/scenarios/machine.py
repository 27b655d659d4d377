"""What a machine does to the servers on it: its disk is full, its clock is set."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.rig.disk import filled, small_disk
from tests.rig.site import copy_sqlite
from torture import clock, final_state
from torture.stage import Scenario, Stage, percentile
from torture.workload import POSTS_ONLY

CLOCK = "clock"
DISK_MB = 24
SKEW_S = 2.0
"""How far the time of a message may lie ahead of a right clock: as long as a transaction takes."""


async def disk_full(stage: Stage) -> None:
    """No room is left beside the database: what can't be stored waits, and nothing is refused for good."""
    disk = await stage.enter(_small_disk())
    await asyncio.to_thread(_move_database, stage, disk)
    await stage.crowd(8, open=2, private=0)
    full_s = stage.seconds(25)
    load = asyncio.create_task(stage.workload(30, POSTS_ONLY).run(full_s + 14))
    await asyncio.sleep(5)
    began = stage.recorder.now()
    with stage.recorder.fault("disk full"), filled(disk):
        await asyncio.sleep(full_s)
        stage.figures["readiness while it is full"] = await asyncio.to_thread(_readiness, stage)
        stage.figures["acknowledged while it was full"] = stage.count("ok", since=began)
    first = await stage.first_ack_after(stage.recorder.now())
    stage.expect("first acknowledgement once there is room", first, at_most=6, unit="s")
    await load
    stage.expect("messages refused for good", stage.count("fail"), at_most=0)
    stage.expect("everybody is up to date", await stage.settle(60), at_most=20, unit="s")
    is_intact = [tuple(row) for row in stage.database.rows("PRAGMA integrity_check")] == [("ok",)]
    stage.expect("the database file is intact", float(is_intact), at_least=1)


@asynccontextmanager
async def _small_disk() -> AsyncIterator[Path]:
    with small_disk(DISK_MB) as disk:
        yield disk


def _move_database(stage: Stage, disk: Path) -> None:
    for process in stage.site.processes:
        process.stop()
    moved = disk / "db.sqlite3"
    copy_sqlite(Path(f"/{stage.site.database}"), moved)
    stage.site.environment["DATABASE_URL"] = f"sqlite:///{moved}"
    stage.database = final_state.Database(stage.site.environment["DATABASE_URL"])
    for process in stage.site.processes:
        process.start()


def _readiness(stage: Stage) -> str:
    try:
        with urllib.request.urlopen(f"{stage.site.url}/readyz", timeout=5) as answer:
            return f"{answer.status}: {answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code}: {error.read().decode()}"


async def clock_set(stage: Stage) -> None:
    """The servers' clocks are put back by an hour, then forward by three, then set right."""
    await stage.crowd(8, open=2, private=1)
    phase_s = stage.seconds(36) / 3
    load = asyncio.create_task(stage.workload(30).run(4 * phase_s + 2))
    await asyncio.sleep(phase_s)
    calm = stage.recorder.now()
    before = percentile(stage.acks(until=calm), 0.99) or 0.0
    for name, seconds in (("clock one hour slow", -3600), ("clock two hours fast", 7200)):
        with stage.recorder.fault(name):
            clock.shift(stage.site.folder, CLOCK, seconds)
            await asyncio.sleep(phase_s)
    clock.shift(stage.site.folder, CLOCK, 0)
    await load
    during = percentile(stage.acks(since=calm), 0.99)
    for client in stage.clients[:1]:
        for room in stage.rooms:  # a room's time is that of its last message, which is of now
            client.post(room)
    stage.expect("everybody is up to date", await stage.settle(60), at_most=10, unit="s")
    stage.expect("acknowledgement, p99", during, at_most=max(2 * before, before + 0.25), unit="s")
    stage.expect("messages refused for good", stage.count("fail"), at_most=0)
    stage.expect("sockets that were closed", sum(_ended(stage)), at_most=0)
    wrong = _ahead(stage, "SELECT created_at FROM chat_message")
    stage.expect("messages with a future time (the premise)", wrong, at_least=1)
    ahead = _ahead(stage, "SELECT last_message_at FROM chat_room")
    stage.expect("rooms whose last message lies in the future", ahead, at_most=0)


def _ended(stage: Stage) -> list[int]:
    return [sum(each.player.closed_with.values()) for each in stage.clients]


def _ahead(stage: Stage, sql: str) -> int:
    """How many of these times have not come yet."""
    now = datetime.now(UTC) + timedelta(seconds=SKEW_S)
    return sum(_utc(row[0]) > now for row in stage.database.rows(sql) if row[0])


def _utc(value: datetime | str) -> datetime:
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time if time.tzinfo else time.replace(tzinfo=UTC)


SCENARIOS = [
    Scenario("disk-full", "no room is left on the disk of the database for 25 s", disk_full,
             processes=1, has_redis=False, databases=("sqlite",)),
    Scenario("clock-set", "the servers' clocks are put back by an hour, forward by three, and set right", clock_set,
             env={"TORTURE_CLOCK": CLOCK}),
]  # fmt: skip
