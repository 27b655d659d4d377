"""``make bench``: measure our server beside its peers in one run. bench/README.md explains the tables.

``python -m bench [--quick] [TABLE …]``; tables: fanout, stored, ack, memory, reconnect, idle.
"""

import argparse
import asyncio
import os
import platform
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

# Set this before anything reads settings: a run must neither touch the developer's var/ nor obey their .env.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
# One of the PostgreSQL wheels looks for a desktop session's runtime directory when it is imported.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

from bench import fanout, idle, reconnect, stored  # noqa: E402
from bench.servers import GENERATOR_CORE, SERVER_CORE, Stand  # noqa: E402
from tests.rig.site import RATES  # noqa: E402

SOCKETS_AT_MOST = 8_000
TABLES: dict[str, Callable[[Stand, bool], Awaitable[str]]] = {
    "fanout": lambda stand, quick: fanout.table(stand, 1.5 if quick else 3),
    "stored": lambda stand, quick: stored.table(stand, 1.5 if quick else 3),
    "ack": lambda stand, quick: idle.ack_table(stand, 60 if quick else 200),
    "memory": lambda stand, quick: idle.memory_table(stand, 120 if quick else 250),
    "reconnect": lambda stand, quick: reconnect.table(stand, 100 if quick else 250),
    "idle": lambda stand, quick: idle.cpu_table(stand, 200 if quick else 1000, 20 if quick else 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measures ours beside its peers, on this machine's two cores."
    )
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"some of: {', '.join(TABLES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter and rougher: to see that it runs")
    asked = parser.parse_args()
    if unknown := set(asked.tables) - TABLES.keys():
        parser.error(f"there is no table {', '.join(sorted(unknown))}: choose from {', '.join(TABLES)}")
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench needs two cores: one for the server, one for what loads it.")
    # Redis and PostgreSQL inherit this core; each server under measurement is moved to its own.
    os.sched_setaffinity(0, {GENERATOR_CORE})
    _allow_sockets()
    print(_circumstances())
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hearth-bench-") as folder:
        stand = Stand(Path(folder))
        try:
            for name in asked.tables or TABLES:
                print(asyncio.run(TABLES[name](stand, asked.quick)), flush=True)
        finally:
            stand.close()
    print(f"\n{time.monotonic() - begun:.0f} s in all.")


def _allow_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS_AT_MOST if hard == resource.RLIM_INFINITY else min(SOCKETS_AT_MOST, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _circumstances() -> str:
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("Django", "channels", "channels-redis", "daphne", "websockets")
    )
    raised = ", ".join(f"{name}={value}" for name, value in RATES.items())
    return (
        f"Python {platform.python_version()}, {packages}\n"
        f"Server on core {SERVER_CORE}; generator, Redis, PostgreSQL on core {GENERATOR_CORE}."
        f" Load before: {os.getloadavg()[0]:.1f}\n"
        f"Limits raised for this: {raised}"
    )


if __name__ == "__main__":
    main()
