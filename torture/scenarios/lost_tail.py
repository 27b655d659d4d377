"""The database loses its newest changes, as after a fail-over to a standby that lagged, and people go on posting."""

import asyncio
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

from torture import faults
from torture.stage import Scenario, Stage
from torture.workload import POSTS_ONLY


async def lost_tail(stage: Stage) -> None:
    """Whoever saw what was lost is told to start over; nobody may hold it in the end."""
    await stage.crowd(6, open=1, private=1)
    await stage.workload(30, POSTS_ONLY).run(3)
    assert await stage.settle(20) is not None, "the premise: everybody has seen what will be kept"
    heads = {room: {"seq": seq, "number": number} for room, (_, seq, number) in stage.database.heads().items()}
    await asyncio.to_thread(_copy, stage)
    for _ in range(stage.rng.choice((1, 4))):
        for room in stage.rooms:
            stage.rng.choice(stage.clients).post(room)
    assert await stage.settle(20) is not None, "the premise: everybody has seen what will be lost"
    with stage.recorder.fault("the newest changes are lost"):
        since = stage.recorder.now()
        load = asyncio.create_task(stage.workload(25, POSTS_ONLY).run(stage.seconds(10)))
        await asyncio.to_thread(_put_back, stage)
        stage.recorder.note("lost", since=since, heads=heads)
    await load
    stage.expect("everybody is up to date", await stage.settle(40), at_most=20, unit="s")
    told = {each["client"] for each in stage.recorder.events if each["e"] == "reset" and each["reason"] == "epoch"}
    stage.expect("clients that were told to start over", len(told), at_least=len(stage.clients))


def _copy(stage: Stage) -> None:
    if stage.postgres:
        name = faults.database_name(stage)
        stage.postgres.copy(name, f"{name}_copy")
        return
    with closing(sqlite3.connect(_file(stage))) as here, closing(sqlite3.connect(f"{_file(stage)}.copy")) as copy:
        here.backup(copy)


def _put_back(stage: Stage) -> None:
    if stage.postgres:
        name = faults.database_name(stage)
        stage.postgres.replace(name, f"{name}_copy", kept_as=f"{name}_lost")
        return
    # Nobody may have the file open: SQLite is put back while the site is down.
    for process in stage.site.processes:
        process.kill()
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            Path(f"{_file(stage)}{suffix}").unlink()
    shutil.copyfile(f"{_file(stage)}.copy", _file(stage))
    for process in stage.site.processes:
        process.launch()
    for process in stage.site.processes:
        process.wait()


def _file(stage: Stage) -> str:
    return urlsplit(stage.site.environment["DATABASE_URL"]).path


SCENARIOS = [
    Scenario("lost-tail", "the database loses its last messages, unnoticed, and people go on posting", lost_tail)
]
