"""The unknown commit: the connection to the database breaks after COMMIT was sent, and the answer is lost."""

import asyncio

from torture import faults
from torture.stage import Scenario, Stage, percentile

EACH_WITHIN_S = 20.0


async def commit_unknown(stage: Stage) -> None:
    assert stage.database_link
    await stage.crowd(6, open=1, private=0)
    sender = stage.clients[0]
    unacknowledged = 0
    for _ in range(stage.scaled(100)):
        with stage.recorder.fault("commit unknown"):
            stage.database_link.cut_once_sent(b"COMMIT")
            began = stage.recorder.now()
            sender.post(stage.rooms[0])
            if await stage.first_ack_after(began, EACH_WITHIN_S) is None:
                unacknowledged += 1
        await asyncio.sleep(stage.rng.uniform(0, 0.1))
    stage.expect("messages without an answer", unacknowledged, at_most=0)
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")
    closed = sum(sum(each.player.closed_with.values()) for each in stage.clients)
    stage.expect("sockets that were closed", closed, at_most=0)
    took = percentile(stage.acks(), 0.99)
    stage.expect("acknowledgement, p99", took and 1000 * took, at_most=5000, unit="ms")


async def unknown_under_load(stage: Stage) -> None:
    await stage.crowd(8, open=1, private=1)
    seconds = stage.seconds(20)
    load = asyncio.create_task(stage.workload(rate=40).run(seconds))
    until = stage.recorder.now() + seconds - 1
    while stage.recorder.now() < until:
        await asyncio.sleep(stage.rng.uniform(0.1, 0.4))
        await faults.cut_after_commit(stage)
    await load
    stage.expect("everybody is up to date", await stage.settle(30), at_most=10, unit="s")


SCENARIOS = [
    Scenario("commit-unknown", "T3: the answer to COMMIT is lost, 100 times", commit_unknown,
             databases=("postgresql",)),
    Scenario("commit-unknown-busy", "the answer to COMMIT is lost again and again, while everybody talks",
             unknown_under_load, databases=("postgresql",), bounds={"revoke_s": 5.0}),
]  # fmt: skip
