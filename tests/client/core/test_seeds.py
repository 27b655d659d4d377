"""Long runs with many faults at once: three hundred seeds for each kind of server."""

import pytest

from tests.client.core.simulation import simulate
from tests.client.core.test_guarantee import ClientAndServer, RestoredBackups, ShortMemories

SEEDS = 300


@pytest.mark.parametrize("kind", [ClientAndServer, ShortMemories, RestoredBackups])
def test_the_guarantee_holds_for_every_seed(kind: type[ClientAndServer]) -> None:
    handed_out = 0
    for seed in range(SEEDS):
        try:
            handed_out += len(simulate(kind, seed).taken)
        except Exception as error:
            raise AssertionError(f"simulate({kind.__name__}, {seed})") from error
    assert handed_out > 10 * SEEDS, "the runs were too quiet to show anything"
