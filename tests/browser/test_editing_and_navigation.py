"""Edits, deletions and removals, and returning to the place where one was reading."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Meet, act, is_live, messages, write
from tests.end_to_end.talk import Talk, talk_as
from tests.rig.four import BACKENDS, Backend
from tests.rig.site import Site

FILL = """
from datetime import timedelta
from uuid import uuid4
from django.contrib.auth import get_user_model
from django.utils import timezone
from chat import api
from chat.services import read_pointers
from chat.services.importing import PastMessage
ana, ben = (get_user_model().objects.get(username=name) for name in ("ana", "ben"))
at = lambda number: timezone.now() - timedelta(days=1) + timedelta(seconds=number)
for name, count in (("Far", 300), ("Near", 1), ("Regrets", 1), ("Doors", 3), ("Aloud", 1), ("Vault", 1)):
    room = api.create_room(name, ana, kind="private" if name == "Vault" else "open", members=[ben])
    api.import_messages(room, [
        PastMessage(client_id=uuid4(), author=ben, body=f"message {number}", created_at=at(number))
        for number in range(1, count + 1)
    ])
    read_pointers.move(by=ana, room_id=room.pk, number=count)
"""


@pytest.fixture(scope="module")
def site(shared_sites: Callable[[Backend], Site]) -> Site:
    """The shared site with rooms of ana and ben: far, near, regrets, doors, aloud, vault."""
    site = shared_sites(BACKENDS[0])
    site.python(FILL)
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def ana(site: Site) -> AsyncIterator[Talk]:
    """ana's own connection, without a browser."""
    talk = await talk_as(site.ws_url, site.user("ana"))
    yield talk
    await talk.close()


async def room(talk: Talk, name: str) -> str:
    rooms = (await talk.call("room.list", scope="mine"))["rooms"]
    return next(str(each["id"]) for each in rooms if each["name"].lower() == name)


TOP = """() => {
  const edge = document.querySelector("[role=log]").getBoundingClientRect().top
  const all = [...document.querySelectorAll("[data-number]")].map((each) => [each, each.getBoundingClientRect()])
  const [{ dataset }, { top }] = all.find(([, { bottom }]) => bottom > edge)
  return [Number(dataset.number), top]
}"""
# Far enough from the oldest loaded message that no more are requested, and what is on the screen stays.
RESTS = """() => {
  const log = document.querySelector("[role=log]")
  return log.scrollHeight - log.clientHeight + log.scrollTop > 600 && log.ariaBusy === "false"
}"""


async def top(page: Page) -> tuple[int, float]:
    """The first message on the screen, and its position."""
    number, at = await page.evaluate(TOP)
    return number, at


async def test_the_browsers_back_leads_to_where_one_was_reading(meet: Meet, site: Site) -> None:
    page = await (await meet("ana", site)).open("/rooms/far/")
    await is_live(page)
    log = page.get_by_role("log")
    for number in (270, 120):
        while (await top(page))[0] > number:
            await log.evaluate("log => { log.scrollTop -= 700 }")
            await page.wait_for_function(RESTS)
        before = await top(page)
        await page.get_by_role("link", name="Near").first.click()
        await expect(page.get_by_role("heading", name="Near")).to_be_visible()
        await page.go_back()
        await is_live(page)
        await expect(page.get_by_role("button", name="Newest messages")).to_be_visible()
        after = await top(page)
        assert after[0] == before[0]
        assert abs(after[1] - before[1]) <= 2
    await page.reload()
    await is_live(page)
    await expect(page.get_by_text("message 300")).to_be_in_viewport()


HEARD = """() => {
  window.heard = []
  new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
    const region = (node.nodeType === 1 ? node : node.parentElement)?.closest("[aria-live]")
    if (region?.ariaLive === "polite") heard.push(node.textContent)
  }))).observe(document.querySelector("[role=log]"), { childList: true, subtree: true })
}"""


async def test_an_own_message_is_announced_once_and_not_again_when_it_is_stored(
    meet: Meet, site: Site, ana: Talk
) -> None:
    page = await (await meet("ben", site)).open("/rooms/aloud/")
    await is_live(page)
    await page.evaluate(HEARD)
    await write(page, "Hear me")
    await expect(messages(page)).to_have_count(2)
    await expect(page.locator(".message__state")).to_have_count(0)
    here = await room(ana, "aloud")
    posted = (await ana.call("history", room=here))["messages"][-1]
    await ana.call("reaction.add", message=posted["id"], emoji="🎉")
    await expect(page.locator(".reaction")).to_be_visible()
    await ana.post(here, "I do")
    await expect(messages(page)).to_have_count(3)
    heard = [text for text in await page.evaluate("heard") if "Hear me" in text or "I do" in text]
    assert ["Hear me" in text for text in heard] == [True, False]


async def test_an_emptied_edit_offers_to_delete_and_a_deleted_message_leaves_the_reply(
    meet: Meet, site: Site, ana: Talk
) -> None:
    person = await meet("ben", site)
    page = await person.open("/rooms/regrets/")
    await is_live(page)
    text = page.get_by_label("Message", exact=True)
    await write(page, "One", "Two")
    await expect(page.locator(".message__state")).to_have_count(0)

    # As on a page without TLS.
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    await act(page, "One", "Copy text")
    await expect(page.get_by_role("status").get_by_text("Text copied")).to_be_visible()
    await text.focus()
    await page.keyboard.press("Control+V")
    await expect(text).to_have_value("One")
    await text.fill("")

    await act(page, "Two", "Edit")
    await page.evaluate("document.execCommand = () => false")
    await act(page, "One", "Copy text")
    alert = page.locator(".alert")
    await expect(alert).to_be_visible()
    await text.press("Escape")
    await expect(alert).to_have_count(0)
    await expect(page.get_by_text("Editing your message")).to_be_visible()

    for answer in ("Cancel", "Delete"):
        await text.fill("")
        await text.press("Enter")
        await page.get_by_role("dialog").get_by_role("button", name=answer).click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_text("Editing your message")).to_be_visible(visible=answer == "Cancel")
    await expect(page.get_by_text("This message was deleted.")).to_have_count(1)

    await act(page, "message 1", "Reply")
    await expect(page.locator("[data-part=about]")).to_contain_text("Replying to ben")
    await expect(page.locator("[data-part=about-excerpt]")).to_have_text("message 1")
    here = await room(ana, "regrets")
    first = (await ana.call("history", room=here))["messages"][0]
    await ana.call("message.delete", message=first["id"])
    await expect(page.locator("[data-part=about-excerpt]")).to_have_text("Message deleted")
    await write(page, "What was that?")
    await expect(page.locator(".message__quote").last).to_have_text("ben: Message deleted")


async def test_a_person_removed_from_an_open_room_may_rejoin_at_once_and_the_title_follows(
    meet: Meet, site: Site, ana: Talk
) -> None:
    ben: Any = site.user("ben")
    here = await room(ana, "doors")
    page = await (await meet("ben", site)).open("/rooms/doors/")
    await is_live(page)
    await ana.call("room.update", room=here, name="Gates")
    await expect(page).to_have_title("Gates · Hearth")
    await ana.call("member.remove", room=here, user=ben.id)
    await expect(page.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(messages(page)).to_have_count(3)
    await page.get_by_role("button", name="Join this room").click()
    await write(page, "Back again")
    await expect(messages(page).last).to_have_text("Back again")
    await expect(page).to_have_title("Gates · Hearth")
    vault = await room(ana, "vault")
    await page.goto(f"{site.url}/rooms/{vault}/")
    await is_live(page)
    await ana.call("member.remove", room=vault, user=ben.id)
    await expect(page.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(page).to_have_title("Hearth")
    await expect(page.get_by_role("button", name="Join this room")).to_be_hidden()
