"""Fixtures for every test: real servers and sites started on demand, a browser, the four back-ends.

Sites, PostgreSQL and Redis come from tests/rig. Tests that run in pytest's own process use pytest-django's database
(SQLite; ``DATABASE_URL`` changes that) and settings of tests/settings.py.
"""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.urls import set_script_prefix

from chat.access import headcounts
from tests.rig.browser import CHROMIUM
from tests.rig.factory import SiteFactory
from tests.rig.four import BACKENDS, Backend, complain_about_missing
from tests.rig.postgres import PostgresServer
from tests.rig.redis_server import RedisServer
from tests.rig.site import Site
from tests.rig.templates import Templates

CI = os.environ.get("CI", "").lower() in ("1", "true")
LOG_TAIL = 6_000
EXPECT_MS = 20_000
"""How long a page may take to show what a test expects, even on a busy machine. A fast page is not slowed down."""

LONG = (
    "tests/torture/test_negative_controls.py",
    "tests/browser/",
    "tests/end_to_end/",
    "tests/torture/",
    "tests/host/",
)
TOGETHER = ("tests/end_to_end/protocol/", "tests/host/")
"""Folders whose files run in one process, because they share sites or a wheel that take long to make."""


def pytest_configure(config: pytest.Config) -> None:
    # A terminated run must still end the servers that it started.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", returncode=143))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow files first: a slow file that starts last keeps one process busy after the others have finished.

    Tests with a browser share that browser, and so its event loop.
    """
    for item in items:
        if "running_browser" in getattr(item, "fixturenames", ()) and iscoroutinefunction(
            getattr(item, "function", None)
        ):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    items.sort(key=lambda item: next((n for n, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((each for each in TOGETHER if nodeid.startswith(each)), super()._split_scope(nodeid))

    return ByFile(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    if CI:
        complain_about_missing(session)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the logs of the site's servers with a failing test."""
    report = yield
    if report.failed:
        for site in getattr(item, "sites", []):
            for process in site.processes:
                report.sections.append((f"log of {process.url}", process.written()[-LOG_TAIL:]))
    return report


@pytest.fixture(autouse=True)
def nobody_connected() -> Iterator[None]:
    """Forget the people who were connected in the last test: their process is gone."""
    yield
    headcounts.use(None)


@pytest.fixture(autouse=True)
def script_prefix() -> Iterator[None]:
    """Reset the script name after each test, or all URLs of the next test in this thread would begin with it."""
    yield
    set_script_prefix("/")


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """The databases and static files from which the sites of this session are made."""
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL. A test that stops it must start it again."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis for this test alone."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=[pytest.param(backend, id=str(backend)) for backend in BACKENDS])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each of {SQLite, PostgreSQL} x {in-memory, Redis} in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def make_site(request: pytest.FixtureRequest, tmp_path: Path, templates: Templates) -> Iterator[SiteFactory]:
    """``make_site(backend, processes=1, env={…}, database_port=…, redis_port=…)`` starts a site and returns it.

    At the end, the test fails if the watchdog has seen a blocked event loop (tests/rig/watchdog.py).
    """
    factory = SiteFactory(
        tmp_path,
        templates,
        lambda: request.getfixturevalue("postgres"),
        lambda: request.getfixturevalue("redis_server"),
    )
    request.node.sites = factory.sites
    yield factory
    complain(factory.stop())


@pytest.fixture(scope="session")
def shared_sites(
    tmp_path_factory: pytest.TempPathFactory, templates: Templates, postgres: PostgresServer
) -> Iterator[Callable[[Backend], Site]]:
    """A site of one process for each back-end, shared by all tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared")
    redis = RedisServer(folder / "redis")
    redis.start()
    factory = SiteFactory(folder, templates, lambda: postgres, lambda: redis)
    yield cache(factory)
    complaints = factory.stop()
    redis.stop()
    complain(complaints)


def complain(complaints: str) -> None:
    if complaints:
        pytest.fail(f"An event loop was held up:\n{complaints[:LOG_TAIL]}", pytrace=False)


@pytest.fixture
def shared_site(request: pytest.FixtureRequest, shared_sites: Callable[[Backend], Site], backend: Backend) -> Site:
    """The shared site, on each of the four back-ends in turn. Each test makes its own rooms; people are shared."""
    site = shared_sites(backend)
    request.node.sites = [site]
    return site


@pytest.fixture
def site(make_site: SiteFactory, backend: Backend) -> Site:
    """A site of one process, on each of the four back-ends in turn."""
    return make_site(backend)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_browser() -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """``await running_browser()`` returns the Chromium of this session, and restarts it if it has died."""
    if not Path(CHROMIUM).exists():
        (pytest.fail if CI else pytest.skip)(f"There is no browser at {CHROMIUM}: install chromium, or set CHROMIUM.")
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=EXPECT_MS)
    async with async_playwright() as playwright:
        started: list[Any] = []

        async def running() -> Any:
            if not started or not started[-1].is_connected():
                arguments = ["--no-sandbox", "--disable-background-networking"]
                started.append(await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments))
            return started[-1]

        yield running
        for each in started:
            await each.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(running_browser: Callable[[], Awaitable[Any]]) -> AsyncIterator[Any]:
    """A Chromium of Playwright's async API, without a page yet."""
    chromium = await running_browser()
    yield chromium
    for context in chromium.contexts:
        await context.close()
