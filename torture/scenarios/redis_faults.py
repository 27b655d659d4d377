from torture.stage import Scenario
SCENARIOS: list[Scenario] = []
