"""A long run in which everything breaks, one thing after the other, at random."""

import asyncio
import random

from torture import faults
from torture.stage import Scenario, Stage, percentile

CONVERGED_WITHIN_S = 15.0
CALM_AT_THE_END_S = 5.0


async def soak(stage: Stage) -> None:
    await stage.crowd(24, open=3, private=3, rooms_each=3)
    seconds = stage.seconds(240)
    load = asyncio.create_task(stage.workload(rate=40).run(seconds))
    calm = stage.recorder.now() + 3
    await asyncio.sleep(3)
    await _nemesis(stage, until=calm + seconds - 3 - CALM_AT_THE_END_S)
    last_fault = stage.recorder.now()
    await load
    over = stage.recorder.now()
    settled = await stage.settle(60)
    posts, acks = stage.count("post"), stage.count("ok")
    stage.expect(
        "posts that were acknowledged, after retries", 100 * acks / posts if posts else None, at_least=99.5, unit="%"
    )
    recovered = None if settled is None else max(0.0, over + settled - last_fault - CALM_AT_THE_END_S)
    stage.expect(
        "everybody is up to date after the last fault and the load", recovered, at_most=CONVERGED_WITHIN_S, unit="s"
    )
    before = stage.acks(until=calm)
    stage.figures["acknowledgement before the first fault, p50 and p99 in ms"] = [
        round(1000 * (percentile(before, share) or 0), 1) for share in (0.5, 0.99)
    ]


async def _nemesis(stage: Stage, until: float) -> None:
    """One fault every 5 to 10 s, of all kinds in turn before any comes again."""
    rng = random.Random(f"faults/{stage.options.seed}")
    known = faults.possible(stage)
    turn: list[str] = []
    while stage.recorder.now() < until:
        if not turn:
            turn = list(known)
            rng.shuffle(turn)
        name = turn.pop()
        began = stage.recorder.now()
        await known[name](stage, rng)
        stage.figures.setdefault("faults", []).append([round(began, 1), name])
        await asyncio.sleep(max(0.5, rng.uniform(5, 10) - (stage.recorder.now() - began)))
    if left := sorted(set(known) - {name for _, name in stage.figures.get("faults", ())}):
        stage.figures["faults that this run was too short for"] = ", ".join(left)


SCENARIOS = [
    Scenario(
        "soak",
        "T1: four minutes of talk while servers, Redis, database, network and clients break in turn",
        soak,
        processes=3,
        bounds={"show_s": 10.0, "recover_s": 25.0, "revoke_s": 5.0},
    )
]
