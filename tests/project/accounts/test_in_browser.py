"""From an empty site to two people who talk, and what happens to a page whose session ends elsewhere."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Person, is_live, messages, write
from tests.project.conftest import PASSWORD, new_person
from tests.rig.site import Site

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
Come = Callable[..., Coroutine[Any, Any, Person]]


@pytest.fixture
def new_site(make_site: Callable[..., Site]) -> Site:
    """A running site on which nobody has an account."""
    site = make_site(processes=0)
    site.manage("flush", "--no-input", "--verbosity", "0")
    site.start()
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def come(browser: Browser) -> AsyncIterator[Come]:
    """``await come(site)`` returns a person with a new browser. At the end, no page of theirs may have complained."""
    people: list[Person] = []

    async def one(site: Site, **options: Any) -> Person:
        people.append(Person("somebody", site, await browser.new_context(**options)))
        return people[-1]

    yield one
    assert [each.complaints for each in people] == [[] for _ in people]


async def fill(page: Page, given: dict[str, str]) -> None:
    """Fill in the form of the page's content, and send it."""
    for name, value in given.items():
        await page.locator(f"#main [name={name}]").fill(value)
    await page.locator("#main .button--primary").click()


async def is_narrow_enough(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


async def test_an_owner_sets_up_the_site_on_a_phone_and_talks_to_an_invited_person(new_site: Site, come: Come) -> None:
    olga = await (await come(new_site, **PHONE)).open("/")
    await expect(olga.get_by_role("heading", level=1)).to_have_text("Welcome to Hearth")
    await expect(olga.get_by_label("Set-up code")).to_be_visible()
    await is_narrow_enough(olga)
    path = new_site.python("from project.accounts import setup_code; print(setup_code.link())").strip()
    await olga.goto(f"{new_site.url}{path}")
    await expect(olga).to_have_url(re.compile(r"/setup/$"))
    await is_narrow_enough(olga)
    await fill(olga, new_person("olga"))
    await expect(olga.get_by_role("heading", level=1)).to_have_text("Name your site")
    await is_narrow_enough(olga)
    await fill(olga, {"name": "The Harbour"})
    await expect(olga.get_by_label("People with an invitation link")).to_be_checked()
    await olga.get_by_role("button", name="Done").click()
    link = await olga.get_by_label("Invitation link").input_value()
    assert link.startswith(f"{new_site.url}/invite/")
    await expect(olga.get_by_role("link", name="Go to the chat")).to_be_visible()
    await expect(olga.get_by_role("img", name="QR code of the link")).to_be_visible()
    await olga.get_by_role("button", name="Copy").click()
    await expect(olga.locator(".copy__button")).to_have_text("Copied")
    await is_narrow_enough(olga)

    ben = await (await come(new_site)).open(link.removeprefix(new_site.url))
    await expect(ben.get_by_text("Olga Moss invites you.")).to_be_visible()
    await ben.get_by_role("button", name="Make an account").click()
    await fill(ben, new_person("ben"))
    for page in (ben, olga):
        await page.goto(new_site.url + "/rooms/general/")
        await is_live(page)
    await write(ben, "Good morning, @olga")
    await expect(messages(olga)).to_have_text(["Good morning, @olga"])
    await olga.get_by_label("Message", exact=True).fill("Welcome aboard")
    await olga.get_by_role("button", name="Send", exact=True).click()  # on a phone, Enter is a new line
    await expect(messages(ben)).to_have_text(["Good morning, @olga", "Welcome aboard"])


async def test_a_session_that_is_ended_elsewhere_closes_its_pages(make_site: Callable[..., Site], come: Come) -> None:
    site = make_site(env={"CHAT_REVALIDATE_S": "300"})  # longer than the test: the page has to be told
    site.python(
        "from django.contrib.auth import get_user_model as m; from chat import api;"
        f"u = m().objects.create_user('rosa', password='{PASSWORD}'); api.create_room('Quay', u, kind='open')"
    )
    phone, laptop = [await (await come(site)).open("/accounts/login/") for _ in range(2)]
    for page in (phone, laptop):
        await fill(page, {"login": "rosa", "password": PASSWORD})
        await expect(page.get_by_role("link", name="Quay").first).to_be_visible()
    await phone.goto(site.url + "/rooms/quay/")
    await is_live(phone)
    await laptop.goto(site.url + "/settings/sessions/")
    await laptop.get_by_role("button", name="End the session of").click()
    await expect(phone.locator("[data-part=banner]")).to_contain_text("You are signed out")
    await expect(laptop.get_by_text("That session has ended.")).to_be_visible()
    await expect(laptop.get_by_role("button", name="End the session of")).to_have_count(0)
