"""Every scenario by its name, in the order in which they are listed."""

from torture.scenarios import basic, commits, crash_points, frozen, lost_tail, postgres, redis_faults, soak
from torture.stage import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (soak, basic, commits, crash_points, redis_faults, postgres, frozen, lost_tail)
    for scenario in module.SCENARIOS
}
