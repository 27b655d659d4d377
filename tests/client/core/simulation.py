"""Drive the machines of test_guarantee with a seeded scheduler: every seed is one long run with many faults."""

import random

from tests.client.core.test_guarantee import ClientAndServer, RestoredBackups

OPERATIONS = {
    "busy": 6, "shuffle": 6, "move": 4, "frames": 4, "commands": 3, "step": 3, "read": 4, "take": 3, "time": 2,
    "post": 2, "history": 2, "members": 1, "beat": 2, "lag": 0.7, "break": 0.7, "refuse": 0.5, "repair": 1,
    "replica": 1, "backup": 0.7, "restore": 0.5, "rest": 0.3,
}  # fmt: skip


def simulate(kind: type[ClientAndServer], seed: int, steps: int = 120) -> ClientAndServer:
    """Run ``kind`` with the faults that ``seed`` stands for. Fails if the guarantee is broken."""
    dice = random.Random(seed)
    machine = kind()
    machine.begin(dice.randrange(9), dice.random() < 0.5)
    names, weights = list(OPERATIONS), list(OPERATIONS.values())
    for name in dice.choices(names, weights, k=steps):
        act(machine, name, dice)
    machine.at_rest_the_client_shows_the_log()
    return machine


def act(machine: ClientAndServer, name: str, dice: random.Random) -> None:
    server = machine.server
    if name == "busy":
        machine.others_are_busy([(dice.choice("pppeem"), dice.randrange(6)) for _ in range(dice.randint(1, 5))])
    elif name == "shuffle" and server.channel:
        fates = ["come", "come", "come", "double", "lose"]
        machine.the_channel_shuffles([(dice.randrange(4), dice.choice(fates)) for _ in range(dice.randint(1, 6))])
    elif name == "move":
        machine.all_but_the_channel_moves()
    elif name == "frames":
        machine.frames_arrive(dice.randint(1, 5))
    elif name == "commands":
        machine.commands_arrive(dice.randint(1, 5))
    elif name == "step" and server.jobs:
        server.step()
    elif name == "read" and server.reads:
        server.finish_read(dice.randrange(len(server.reads)))
    elif name == "take":
        machine.the_application_takes(dice.randint(1, 4))
    elif name == "time":
        machine.time_passes(dice.uniform(0.1, 6))
    elif name == "post":
        machine.the_client_posts()
    elif name == "history":
        machine.the_client_loads_history(dice.choice([None, None, dice.randint(1, 12)]))
    elif name == "members":
        machine.the_client_loads_members()
    elif name == "refuse":
        machine.the_server_is_busy(dice.choice([0, 500, 5000]))
    elif name == "repair":
        machine.the_server_repairs()
    elif name == "replica":
        machine.reads_come_from_a_replica_that_lags(dice.random() < 0.4)
    elif name == "rest":
        machine.at_rest_the_client_shows_the_log()
    elif server.is_connected and name == "beat":
        machine.the_server_beats()
    elif server.is_connected and name == "lag":
        machine.the_client_lags()
    elif server.is_connected and name == "break":
        machine.the_connection_breaks(0)
    elif isinstance(machine, RestoredBackups) and name == "backup":
        machine.the_server_is_backed_up()
    elif isinstance(machine, RestoredBackups) and name == "restore":
        machine.a_backup_is_restored()
