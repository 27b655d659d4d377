"""People in front of browsers: each has a signed-in context of their own, and nothing their pages complain about may
go unseen."""

from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.rig.site import Site

# A page whose server is down can't do without these; everything else in the console is a fault.
EXPECTED_WHILE_DOWN = ("WebSocket connection to", "net::ERR_CONNECTION_REFUSED")


@dataclass
class Person:
    """Somebody with a browser."""

    name: str
    site: Site
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self) -> None:
        """Also the way back in after the browser was closed."""
        cookie = {"name": "sessionid", "value": self.site.user(self.name).session, "url": self.site.url}
        await self.context.add_cookies([cookie])  # type: ignore[list-item]

    async def open(self, path: str = "/") -> Page:
        page = await self.context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.site.url + path)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(part in message.text for part in EXPECTED_WHILE_DOWN):
            self.complaints.append(f"{message.type}: {message.text}")


Meet = Callable[..., Coroutine[Any, Any, Person]]


@pytest.fixture
async def meet(browser: Browser) -> AsyncIterator[Meet]:
    """``await meet("ana", site)``: she, signed in. At the end the test fails if a page complained."""
    people: list[Person] = []

    async def one(name: str, site: Site, **options: Any) -> Person:
        person = Person(name, site, await browser.new_context(**options))
        await person.sign_in()
        people.append(person)
        return person

    yield one
    assert [each.complaints for each in people] == [[] for _ in people]


def messages(page: Page) -> Any:
    """What stands in the timeline, in order."""
    return page.locator(".message__body")


async def write(page: Page, *bodies: str) -> None:
    for body in bodies:
        await page.get_by_label("Message", exact=True).fill(body)
        await page.keyboard.press("Enter")


async def is_live(page: Page) -> None:
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false", timeout=30_000)
