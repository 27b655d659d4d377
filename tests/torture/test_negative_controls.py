"""A green run proves nothing by itself: each seeded bug must turn it red, and nothing but the bug may."""

import pytest

from torture.runner import Outcome, play
from torture.scenarios import SCENARIOS
from torture.seeded_bugs import BUGS
from torture.stage import Options, Servers

SEED = 20261127
LOAD_S = 3.0
FOUND_WITHIN_S = 15.0
"""On a machine that does nothing else; a busy one needs as much more time as it is busy."""
SIZE = 0.5
PAIRS = sorted({(bug.scenario, bug.database) for bug in BUGS.values()})


async def outcome_of(scenario: str, database: str, servers: Servers, bug: str = "") -> Outcome:
    options = Options(SEED, database, LOAD_S, size=SIZE, bug=bug, is_quiet=True)
    outcome = await play(SCENARIOS[scenario], options, servers)
    print(outcome)
    assert not outcome.error
    return outcome


@pytest.mark.parametrize("name", BUGS)
async def test_a_seeded_bug_is_found(name: str, servers: Servers) -> None:
    bug = BUGS[name]
    outcome = await outcome_of(bug.scenario, bug.database, servers, name)
    found = {violation.invariant for violation in outcome.violations}
    assert found & bug.found_by
    assert outcome.played_s <= FOUND_WITHIN_S * outcome.stretch


@pytest.mark.parametrize(("scenario", "database"), PAIRS)
async def test_the_same_run_is_clean_without_the_bug(scenario: str, database: str, servers: Servers) -> None:
    outcome = await outcome_of(scenario, database, servers)
    assert outcome.is_passed
    assert outcome.recorder.events
