"""Every scenario by its name, in the order in which they are listed."""

from torture.scenarios import (
    basic,
    commits,
    crash_points,
    deploy,
    equality,
    frozen,
    lifetimes,
    load,
    lost_tail,
    machine,
    postgres,
    redis_faults,
    rights,
    soak,
)
from torture.stage import Scenario

MODULES = (
    soak,
    basic,
    commits,
    crash_points,
    redis_faults,
    postgres,
    frozen,
    lost_tail,
    equality,
    machine,
    deploy,
    rights,
    load,
    lifetimes,
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for module in MODULES for scenario in module.SCENARIOS}
