"""The lanes that tests run in, as options of pytest (CONTRIBUTING.md, "Which lane to run").

``--database postgresql`` runs the chosen tests of pytest's own process on a real PostgreSQL, started for this run.
``--quick`` keeps the tests that need no server and no browser. ``-m alone`` chooses those that measure CPU time: they
run by themselves, in one process, while nothing else is going on. ``--long`` gives tests that kill servers at random
more time to find something.
"""

import os
from collections.abc import Iterator

import pytest

SERVERS = {"postgres", "redis_server", "make_site", "shared_sites", "browser", "wheel"}
"""Fixtures that start another process, or need one."""
SLOW = (
    "tests/browser/",
    "tests/end_to_end/",
    "tests/host/",
    "tests/js/",
    "tests/rig/",
    "tests/access/test_plans.py",
    "tests/client/core/test_guarantee.py",
    "tests/client/core/test_seeds.py",
    "tests/project/test_home.py",
    "tests/project/test_odd_fields.py",
    "tests/project/test_start.py",
)
"""Folders and files whose tests start servers, browsers or programs without these fixtures, or take minutes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("lanes")
    group.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="of pytest's own process",
    )
    group.addoption("--long", action="store_true", help="the long form of tests that have one")
    group.addoption("--quick", action="store_true", help="only what needs no server and no browser")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start PostgreSQL before the settings are read. Processes of xdist find its address in their environment."""
    if early_config.known_args_namespace.database == "postgresql" and "PYTEST_XDIST_WORKER" not in os.environ:
        from tests.rig.postgres import PostgresServer

        server = PostgresServer()
        server.start()
        early_config.add_cleanup(server.remove)
        os.environ["DATABASE_URL"] = server.url(server.create())
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: measures CPU time, and runs while nothing else does")
    config.addinivalue_line("markers", "slow: takes longer than the quick lane has")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.quick:
        kept = [item for item in items if is_quick(item)]
        config.hook.pytest_deselected(items=[item for item in items if not is_quick(item)])
        items[:] = kept


def is_quick(item: pytest.Item) -> bool:
    """Whether the test needs no server and no browser, and does not take long."""
    is_slow = item.nodeid.startswith(SLOW) or item.get_closest_marker("slow") or item.get_closest_marker("alone")
    return not is_slow and not SERVERS.intersection(getattr(item, "fixturenames", ()))
