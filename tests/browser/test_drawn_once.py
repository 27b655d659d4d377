"""The server's templates alone decide what a line looks like, and the policy alone what a person may do."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Meet, hold_scripts, is_live, messages, write
from tests.conftest import BACKENDS
from tests.rig.site import Site

TALK = """
from chat import api
from django.contrib.auth import get_user_model
ana, ben, dan = (get_user_model().objects.get(username=name) for name in ("ana", "ben", "dan"))
room = api.create_room("Kitchen", ana, kind="open", members=[ben])
first = api.post(room, ben, "Which soup?")
api.post(room, ana, "Leek", reply_to=first.id)
api.react(first.id, ana, "🎉")
get_user_model().objects.filter(pk=dan.pk).update(is_superuser=True)
"""
OWN_MESSAGE = """
<article class="{{ row.classes }} of-the-host" tabindex="-1" data-key="{{ row.key }}" data-number="{{ row.number }}"
         aria-label="{{ row.author }}" aria-describedby="message-{{ row.id }}">
  <b class="stamp">★</b>
  <span data-part="author">{{ row.author }}</span>
  {% if not row.is_deleted %}<div class="message__body" data-part="body">{{ row.html }}</div>{% endif %}
  {% if row.is_deleted or row.is_prototype %}<i data-part="gone">gone</i>{% endif %}
</article>
"""
"""A host's own template, without quotes, reactions, times and menus, and with something of its own."""
LOOKS = """each => [
  [...each.classList].sort().join(" "),
  ...[...each.querySelectorAll("*")].map(({ tagName, textContent }) => tagName + textContent.trim()),
]"""


@pytest.fixture
def kitchen(make_site: Callable[..., Site]) -> Site:
    site = make_site(BACKENDS[0])
    site.python(TALK)
    return site


async def test_a_host_that_changes_a_message_changes_the_first_paint_and_live_lines_alike(
    meet: Meet, make_site: Callable[..., Site], tmp_path: Path
) -> None:
    (tmp_path / "own" / "chat").mkdir(parents=True)
    (tmp_path / "own" / "chat" / "_message.html").write_text(OWN_MESSAGE)
    site = make_site(BACKENDS[0], env={"TEST_TEMPLATES": str(tmp_path / "own")})
    await asyncio.to_thread(site.python, TALK)
    ben = await meet("ben", site)
    run = await hold_scripts(ben)
    page = await ben.open("/rooms/kitchen/", wait_until="commit")
    lines = page.locator(".of-the-host")
    await expect(lines).to_have_count(2)
    printed = [await line.evaluate(LOOKS) for line in await lines.all()]
    run.set()
    await is_live(page)
    assert [await line.evaluate(LOOKS) for line in await lines.all()] == printed
    await write(page, "Pea")
    await expect(lines).to_have_count(3)
    assert (await lines.last.evaluate(LOOKS))[1:] == ["B★", "SPANben", "DIVPea", "PPea"]


async def test_a_superuser_gets_the_buttons_that_the_policy_grants_and_they_work(meet: Meet, kitchen: Site) -> None:
    page = await (await meet("dan", kitchen)).open("/rooms/kitchen/")
    await is_live(page)
    await expect(page.get_by_role("button", name="Join this room")).to_be_visible()
    await messages(page).first.hover()
    await page.get_by_role("button", name="Message actions").first.click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("This message was deleted.")).to_be_visible()
    # Other people who only read have no such button.
    page = await (await meet("cleo", kitchen)).open("/rooms/kitchen/")
    await is_live(page)
    await page.locator("[data-number='2']").hover()
    await page.get_by_role("button", name="Message actions").last.click()
    await expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    await expect(page.get_by_role("button", name="Delete")).to_have_count(0)


async def test_before_the_scripts_have_run_a_control_works_or_is_seen_not_to_be_ready(
    meet: Meet, kitchen: Site
) -> None:
    ana = await meet("ana", kitchen)
    run = await hold_scripts(ana)
    page = await ana.open("/rooms/kitchen/", wait_until="commit")
    await expect(page.get_by_role("button", name="🎉, 1")).to_be_disabled()
    for menu in await page.locator(".message__menu").all():
        await expect(menu).to_be_disabled()
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await page.get_by_label("Message", exact=True).fill("Soup")
    await page.keyboard.press("Enter")
    await page.locator(".message__quote").click(no_wait_after=True)
    await expect(page).to_have_url(f"{kitchen.url}/rooms/1/1/")
    run.set()
    await is_live(page)
    await expect(page.get_by_role("button", name="🎉, 1")).to_be_enabled()
    await page.get_by_role("button", name="🎉, 1").click()
    await expect(page.get_by_role("button", name="🎉, 1")).to_have_count(0)
