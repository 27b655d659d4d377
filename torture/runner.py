"""Runs scenarios one after the other, and judges each: the invariants of its history, and its pass numbers."""

import asyncio
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from tests.rig.factory import SiteFactory
from tests.rig.postgres import PostgresServer
from tests.rig.redis_server import RedisServer
from tests.rig.templates import Templates
from torture import seeded_bugs
from torture.checker import History, Violation, check, told
from torture.recorder import Recorder
from torture.report import plain, write_report
from torture.stage import Criterion, Options, Scenario, Servers, Stage, percentile

LOG_TAIL = 4000
KEPT = Path(__file__).resolve().parents[1] / "var" / "torture"
"""Where the histories of failed scenarios stay."""


@dataclass
class Outcome:
    """What one scenario has shown. ``error``: it could not be played to its end."""

    scenario: str
    seed: int
    database: str
    seconds: float
    criteria: list[Criterion]
    violations: list[Violation]
    figures: dict[str, Any]
    recorder: Recorder = field(repr=False)
    error: str = ""
    logs: str = field(default="", repr=False)
    played_s: float = 0.0
    """From when the servers ran until the verdict."""
    stretch: float = 1.0
    bug: str = ""
    """The bug that the run was given."""

    @property
    def is_passed(self) -> bool:
        return not self.error and not self.violations and all(each.is_met for each in self.criteria)

    def __str__(self) -> str:
        verdict = "PASS" if self.is_passed else "FAIL"
        lines = [
            f"{verdict} {self.scenario}{self.with_bug} ({self.seconds:.0f} s, seed {self.seed}, {self.database})",
        ]
        lines += [f"  {name}: {plain(value)}" for name, value in self.figures.items()]
        lines += [f"  {each}" for each in self.criteria]
        lines += ["  " + told(self.violations).replace("\n", "\n  ")]
        if self.error:
            lines.append(f"  It could not be played to its end:\n{self.error}")
        return "\n".join(lines)

    @property
    def with_bug(self) -> str:
        return f" with the seeded bug {self.bug}" if self.bug else ""

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "bug": self.bug,
            "seed": self.seed,
            "database": self.database,
            "seconds": round(self.seconds, 1),
            "passed": self.is_passed,
            "criteria": [asdict(each) for each in self.criteria],
            "violations": [asdict(each) for each in self.violations[:50]],
            "violation_count": len(self.violations),
            "figures": self.figures,
            "error": self.error,
        }


async def play(scenario: Scenario, options: Options, servers: Servers) -> Outcome:
    """Play a scenario to its end and judge it."""
    began = time.monotonic()
    error, stage, ready = "", None, began
    stretch = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    with seeded_bugs.in_client(options.bug):
        try:
            async with Stage.open(
                options,
                scenario.name,
                servers,
                processes=scenario.processes,
                has_redis=scenario.has_redis,
                has_links=scenario.has_links,
                env=scenario.env,
                daphne_flags=scenario.daphne_flags,
            ) as stage:
                ready = time.monotonic()
                stage.stretch = stretch
                bounds = {name: bound * stretch for name, bound in {"quiet_s": 60.0, **scenario.bounds}.items()}
                stage.recorder.state(
                    "meta",
                    scenario=scenario.name,
                    seed=options.seed,
                    database=options.database,
                    bug=options.bug,
                    bounds=bounds,
                )
                try:
                    await scenario.play(stage)
                finally:
                    await stage.end()
        except Exception:
            error = traceback.format_exc()
    recorder = stage.recorder if stage else Recorder()
    violations = check(History.from_events(recorder.events))
    if stage:
        _measure(stage)
        if stretch > 1:
            stage.figures["limits of time are stretched, for the machine was busy before"] = f"× {stretch:.1f}"
    return Outcome(
        scenario.name,
        options.seed,
        options.database,
        time.monotonic() - began,
        stage.criteria if stage else [],
        violations,
        stage.figures if stage else {},
        recorder,
        error,
        stage.site.log()[-LOG_TAIL:] if stage and hasattr(stage, "site") else "",
        time.monotonic() - ready,
        stretch,
        options.bug,
    )


def _measure(stage: Stage) -> None:
    """Add the figures that every scenario has."""
    acks, shows = stage.acks(), stage.showings()
    figures = stage.figures
    figures["posted, acknowledged, shown"] = [stage.count("post"), stage.count("ok"), stage.count("show")]
    for name, values in (("acknowledgement", acks), ("showing", shows)):
        if values:
            found = [round(1000 * (percentile(values, share) or 0), 1) for share in (0.5, 0.99, 1.0)]
            figures[f"{name}: p50, p99, longest in ms"] = found
    closed: dict[int, int] = {}
    for client in stage.clients:
        for code, times in client.player.closed_with.items():
            closed[code] = closed.get(code, 0) + times
    figures["connections, and how they ended"] = [sum(each.player.connections for each in stage.clients), closed]
    lags = sorted(each["seconds"] for each in stage.recorder.events if each["e"] == "lag")
    if lags:
        found = [round(1000 * (percentile(lags, share) or 0)) for share in (0.5, 1.0)]
        figures["how late this program itself was: p50, longest in ms"] = found
    resets = [each for each in stage.recorder.events if each["e"] == "reset" and each["reason"] != "new"]
    if resets:
        figures["resets"] = {
            reason: sum(r["reason"] == reason for r in resets) for reason in {r["reason"] for r in resets}
        }


def play_all(scenarios: Sequence[Scenario], options: Options, *, report: Path | None, keep: Path | None) -> int:
    """Play the scenarios on servers of their own, print each verdict, and return 1 if one failed."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="hearth-torture-") as folder, own_servers(Path(folder)) as servers:
        for scenario in scenarios:
            print(f"\n{scenario.name}: {scenario.title}", flush=True)
            outcome = asyncio.run(play(scenario, options, servers()))
            outcomes.append(outcome)
            print(outcome, flush=True)
            if keep or not outcome.is_passed:
                print(f"  history: {write_history(outcome, keep or KEPT)}", flush=True)
    if report:
        print(f"report: {', '.join(map(str, write_report(outcomes, report)))}")
    if options.bug:
        found = any(outcome.violations for outcome in outcomes)
        print(f"\nThe seeded bug {options.bug} was {'found, as it should be' if found else 'not found'}.", flush=True)
    failed = [outcome.scenario for outcome in outcomes if not outcome.is_passed]
    print(f"\n{'FAIL: ' + ', '.join(failed) if failed else 'PASS'} ({len(outcomes)} scenarios, seed {options.seed})")
    return 1 if failed else 0


@contextmanager
def own_servers(folder: Path) -> Iterator[Callable[[], Servers]]:
    """Give each scenario a Redis and sites of its own, and all of them one PostgreSQL, which is started when needed."""
    templates = Templates(folder / "templates")
    templates.folder.mkdir()
    numbers = count()
    with ExitStack() as stack:

        @cache
        def postgres() -> PostgresServer:
            server = PostgresServer()
            stack.callback(server.remove)
            server.start()
            return server

        def servers() -> Servers:
            here = folder / f"scenario-{next(numbers)}"
            here.mkdir()

            @cache
            def redis() -> RedisServer:
                server = RedisServer(here / "redis")
                stack.callback(server.stop)
                server.start()
                return server

            return Servers(SiteFactory(here, templates, postgres, redis), postgres, redis)

        yield servers


def write_history(outcome: Outcome, folder: Path) -> Path:
    """Keep a history, and the end of the servers' logs beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.scenario}-{outcome.database}-{outcome.seed}.jsonl"
    outcome.recorder.write(path)
    path.with_suffix(".log").write_text(outcome.logs)
    return path
