"""Every page passes axe-core, in light and dark, on a desktop and on a phone, and fits into 320 px."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser import states
from tests.browser.conftest import Meet, is_live
from tests.rig.site import Site

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
SERIOUS = ("serious", "critical")
LANDMARKS = ("landmark-", "region", "skip-link", "page-has-heading-one")
"""Lesser faults that our pages must not have either."""
DESKTOP, PHONE, SMALL = ({"width": 1280, "height": 800}, {"width": 390, "height": 844}, {"width": 320, "height": 640})
LOOKS = [(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]
ROOM = ("/rooms/{kitchen}/", "/rooms/{long}/", "/rooms/{rtl}/", "/rooms/{busy}/40/")
"""The pages with most on them, tested in all sizes and colour schemes."""
PAGES = {
    "ana": (
        *("/", "/rooms/", "/new/", "/people/", "/settings/tokens/", "/rooms/{kitchen}/settings/"),
        *("/rooms/{empty}/", "/rooms/{archived}/", "/rooms/{garden}/", "/rooms/{direct}/", "/rooms/999999/"),
        "/rooms/{kitchen}/settings/?confirm=leave",
    ),
    "olga": (
        *("/settings/", "/settings/sessions/", "/settings/invitations/", "/settings/site/", "/settings/delete/"),
        *("/accounts/email/", "/accounts/password/change/"),
    ),
    "nobody": ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/invite/wrong/"),
}


@dataclass
class House:
    """A site with something of everything, and its room ids by the names in states.py."""

    site: Site
    rooms: dict[str, int]


@pytest.fixture
def house(make_site: Callable[..., Site]) -> House:
    site = make_site()
    return House(site, states.fill(site))


async def faults(page: Page) -> list[str]:
    """The faults of the page as it is now, one line each."""
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE)
    found = await page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    wrong = [
        f"{each['impact']} {each['id']}: {node['target']} {node['failureSummary'].splitlines()[-1].strip()}"
        for each in found["violations"]
        if each["impact"] in SERIOUS or each["id"].startswith(LANDMARKS)
        for node in each["nodes"]
    ]
    counts = await page.evaluate(
        """() => ({ h1: [...document.querySelectorAll("h1")].filter((each) => each.checkVisibility()).length,
            main: document.querySelectorAll("main").length, title: document.title.trim().length })"""
    )
    if counts["h1"] != 1 or counts["main"] != 1 or not counts["title"]:
        wrong.append(f"one h1, one main and a title: {counts}")
    return wrong


async def too_wide(page: Page) -> list[str]:
    """The elements that stick out of the page, or a line that says that the whole page scrolls sideways."""
    found: list[str] = await page.evaluate(
        """() => {
            const width = document.documentElement.clientWidth
            if (document.documentElement.scrollWidth > width) return ["the page scrolls sideways"]
            const sticksOut = (each) => {
                const { left, right, width: own } = each.getBoundingClientRect()
                return own && (left < -1 || right > width + 1)
            }
            return [...document.querySelectorAll(".chat :is(button, a, input, h1, p)")]
                .filter((each) => each.checkVisibility() && !each.closest(".visually-hidden, pre, table, .skip-link"))
                .filter(sticksOut)
                .map((each) => `${each.tagName}.${each.className} sticks out`)
        }"""
    )
    return found


async def look_at(page: Page, size: Any, scheme: Any) -> None:
    await page.set_viewport_size(size)
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")


async def visits(meet: Meet, house: House, who: str, paths: tuple[str, ...]) -> AsyncIterator[tuple[Page, str]]:
    person = await meet(who if who != "nobody" else "ana", house.site)
    if who == "nobody":
        await person.context.clear_cookies()
    page = await person.open("/accounts/login/")
    for path in paths:
        await page.goto(house.site.url + path.format(**house.rooms))
        if await page.locator("chat-room").count():
            await is_live(page)
        yield page, path
    # The page of a missing room is meant to fail.
    person.complaints[:] = [each for each in person.complaints if "404" not in each]


async def test_no_page_has_a_serious_fault_of_accessibility(meet: Meet, house: House) -> None:
    wrong = []
    for who, paths in PAGES.items():
        async for page, path in visits(meet, house, who, paths):
            for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
                await look_at(page, size, scheme)
                wrong += [f"{path} {scheme} {size['width']}: {fault}" for fault in await faults(page)]
            await look_at(page, SMALL, "light")
            wrong += [f"{path} at 320 px: {fault}" for fault in await too_wide(page)]
    assert not wrong, "\n".join(wrong)


async def test_a_room_has_no_violations_in_any_size_or_colour_scheme_or_with_open_menus(
    meet: Meet, house: House
) -> None:
    wrong = []
    async for page, path in visits(meet, house, "ana", ROOM):
        for size, scheme in LOOKS:
            await look_at(page, size, scheme)
            wrong += [f"{path} {scheme} {size['width']}: {fault}" for fault in await faults(page)]
        await look_at(page, SMALL, "light")
        wrong += [f"{path} at 320 px: {fault}" for fault in await too_wide(page)]
        acts = (("menu", open_menu), ("dialog", open_keys), ("mentions", open_mentions))
        for name, act in acts if path == ROOM[0] else ():
            await look_at(page, DESKTOP, "dark")
            await act(page)
            wrong += [f"{path} with {name}: {fault}" for fault in await faults(page)]
            await page.keyboard.press("Escape")
    assert not wrong, "\n".join(wrong)


async def test_the_first_run_has_none(meet: Meet, make_site: Callable[..., Site]) -> None:
    site = make_site(processes=0)
    await asyncio.to_thread(site.manage, "flush", "--no-input")
    await asyncio.to_thread(site.start)
    page = await (await meet("ana", site)).open("/")
    await expect(page.locator(".steps")).to_be_visible()
    assert await faults(page) == []
    await look_at(page, SMALL, "dark")
    assert await faults(page) + await too_wide(page) == []


async def open_menu(page: Page) -> None:
    message = page.locator(".message", has=page.locator(".message__menu")).last
    await message.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".menu")).to_be_visible()


async def open_keys(page: Page) -> None:
    await page.get_by_role("log").press("?")
    await expect(page.locator(".dialog[open]")).to_be_visible()


async def open_mentions(page: Page) -> None:
    await page.get_by_label("Message", exact=True).fill("")
    await page.get_by_label("Message", exact=True).press_sequentially("@")
    await expect(page.locator(".completion__option").first).to_be_visible()
