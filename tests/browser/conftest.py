"""People with browsers: each has a signed-in context of their own, and a test fails if one of their pages logs an
error or a warning."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, WebError, expect

from tests.conftest import complain
from tests.rig.factory import SiteFactory
from tests.rig.site import Site
from tests.rig.templates import Templates

# A page logs these while its server is down. Everything else in the console is a fault.
EXPECTED_WHILE_DOWN = ("WebSocket connection to", "net::ERR_CONNECTION_REFUSED")
CUT_OFF = "net::ERR_CONNECTION_RESET"
"""What befalls a request that was under way when its server was killed: a fault while the server runs."""
SOON_FINAL = {"CHAT_DEADLINE_S": "6", "CHAT_IDLE_TRANSACTION_S": "0.5"}
"""A refusal of what an earlier connection had sent is the last word after 6 s, in place of 15."""
STYLED = """() => document.readyState !== 'loading'
    && [...document.querySelectorAll('link[rel=stylesheet]')].every(({ sheet }) => sheet)"""


@dataclass
class Person:
    """Somebody with a browser. ``complaints`` are the errors and warnings of all its pages. They include violations of
    the Content Security Policy, which the browser reports as errors."""

    name: str
    site: Site
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.on("console", self._heard)
        self.context.on("weberror", self._failed)

    async def sign_in(self) -> None:
        """Set the session cookie, also after the browser was closed."""
        cookie = {"name": "sessionid", "value": self.site.user(self.name).session, "url": self.site.url}
        await self.context.add_cookies([cookie])  # type: ignore[list-item]

    async def open(self, path: str = "/", **options: Any) -> Page:
        """Open a page. ``path`` may be a whole URL, such as that of a proxy in front of the site."""
        page = await self.context.new_page()
        await page.goto(urljoin(self.site.url, path), **options)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        expected = EXPECTED_WHILE_DOWN if self.site.processes[0].is_running else (*EXPECTED_WHILE_DOWN, CUT_OFF)
        if message.type in ("error", "warning") and not any(part in message.text for part in expected):
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, error: WebError) -> None:
        self.complaints.append(str(error.error))


@pytest.fixture(scope="module")
def module_site(tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> Iterator[Site]:
    """A site of one process (SQLite, in-memory layer) for the tests of one file. Rooms are the tests' own."""

    def no_server() -> Any:
        raise AssertionError("This site needs no server of its own.")

    factory = SiteFactory(tmp_path_factory.mktemp("module"), templates, no_server, no_server)
    yield factory(env=SOON_FINAL)
    complain(factory.stop())


@pytest.fixture
def house(request: pytest.FixtureRequest, module_site: Site) -> Site:
    """The site of this file's tests, running whatever the previous test did to it."""
    request.node.sites = [module_site]
    process = module_site.processes[0]
    if not process.is_running:
        process.start()
    return module_site


Meet = Callable[..., Coroutine[Any, Any, Person]]


@pytest_asyncio.fixture(loop_scope="session")
async def meet(browser: Browser) -> AsyncIterator[Meet]:
    """``await meet("ana", site)``: ana, signed in. At the end the test fails if a page logged an error."""
    people: list[Person] = []

    async def one(name: str, site: Site, **options: Any) -> Person:
        person = Person(name, site, await browser.new_context(**options))
        await person.sign_in()
        people.append(person)
        return person

    yield one
    assert [each.complaints for each in people] == [[] for _ in people]


def messages(page: Page) -> Any:
    """The texts in the timeline, in order."""
    return page.locator(".message__body")


async def write(page: Page, *bodies: str) -> None:
    for body in bodies:
        await page.get_by_label("Message", exact=True).fill(body)
        await page.keyboard.press("Enter")


async def hold_scripts(person: Person) -> asyncio.Event:
    """Keep the person's pages from running scripts until the event is set."""
    run = asyncio.Event()

    async def hold(route: Route) -> None:
        await run.wait()
        await route.continue_()

    await person.context.route("**/js/ui/page.*", hold)
    return run


async def is_printed(page: Page) -> None:
    """The whole first paint is there, with its style sheets: the composer stands below the timeline."""
    await expect(page.locator(".composer")).to_be_attached()
    await page.wait_for_function(STYLED)


async def is_live(page: Page) -> None:
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false", timeout=30_000)


async def act(page: Page, body: str, what: str) -> None:
    """Choose ``what`` in the menu of the message with the text ``body``."""
    message = page.locator(".message", has_text=body).first
    await message.hover()
    await message.get_by_label("Message actions").click()
    await page.get_by_label("Message actions").get_by_role("button", name=what).click()


# By the object store: a test may break its indexes.
KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("chat-outbox")
  opening.onsuccess = () => {
    const items = opening.result.transaction("items").objectStore("items").getAll()
    items.onsuccess = () => (opening.result.close(), resolve(items.result.map(({ body }) => body)))
  }
})"""


async def is_kept(page: Page, body: str) -> None:
    """Return once an unsent message is on the browser's disk. It is shown a little earlier."""
    async with asyncio.timeout(30):
        while body not in await page.evaluate(KEPT):  # noqa: ASYNC110 - the database tells nobody of changes
            await asyncio.sleep(0.02)
