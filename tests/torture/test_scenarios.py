"""Short forms of scenarios: the machinery works, and the site keeps its promise for a while. `make torture` is longer.

Those with a seeded bug are in test_negative_controls.py, where they are played without it as well.
"""

import pytest

from torture.runner import play
from torture.scenarios import SCENARIOS
from torture.stage import Options, Servers

SEED = 20261127


@pytest.mark.timeout(180)
async def test_a_soak_of_both_clients_keeps_the_promise(servers: Servers, running_browser: object) -> None:
    outcome = await play(SCENARIOS["soak"], Options(SEED, seconds=12, size=0.3, pages=2, is_quiet=True), servers)
    print(outcome)
    assert outcome.is_passed
    kinds = {event["client"]: event["ordered"] for event in outcome.recorder.events if event["e"] == "client"}
    owner = next(event for event in outcome.recorder.events if event["e"] == "client")
    assert (owner["client"], owner["ordered"]) == ("p0", True), "scenarios act as the owner by the reference client"
    shown = {event["client"] for event in outcome.recorder.events if event["e"] == "show"}
    assert shown == kinds.keys(), "the premise: everybody was shown something"
    assert set(kinds.values()) == {True, False}, "the premise: reference clients and pages"
    assert outcome.figures["faults"]


@pytest.mark.timeout(180)
async def test_a_crash_at_any_point_of_a_post_loses_and_doubles_nothing(servers: Servers) -> None:
    outcome = await play(SCENARIOS["crash-points"], Options(SEED, "sqlite", size=0.05, is_quiet=True), servers)
    print(outcome)
    assert outcome.is_passed
    assert outcome.figures["posted, acknowledged, shown"][0] == 5, "each point once"


async def test_a_commit_without_an_answer_is_stored_once(servers: Servers) -> None:
    outcome = await play(SCENARIOS["commit-unknown"], Options(SEED, size=0.1, is_quiet=True), servers)
    print(outcome)
    assert outcome.is_passed
    assert outcome.figures["posted, acknowledged, shown"][0] == 10


async def test_who_reads_nothing_and_claims_everything_is_let_go_of_and_costs_no_memory(servers: Servers) -> None:
    outcome = await play(SCENARIOS["liar"], Options(SEED, "sqlite", seconds=15, is_quiet=True), servers)
    print(outcome)
    assert outcome.is_passed
    assert outcome.criteria[0].what == "longest time until a liar was cut off"


def test_every_scenario_says_what_it_does_and_can_be_played_somewhere() -> None:
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.title
        assert set(scenario.databases) <= {"postgresql", "sqlite"}
        assert scenario.databases
