"""Changes made in the admin, as people with open pages see them."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Meet, is_live, messages
from tests.end_to_end.talk import talk_as
from tests.rig.site import Site

MAKE_ROOM = """
from django.contrib.auth import get_user_model
from chat.services import memberships, messages, rooms
ana, ben, cleo = (get_user_model().objects.get(username=name) for name in ("ana", "ben", "cleo"))
room = rooms.create(by=ana, name="Kitchen", kind="open")
for who in (ben, cleo):
    memberships.join(by=who, room_id=room.pk)
messages.post(by=ana, room_id=room.pk, body="Soop today")
messages.post(by=ben, room_id=room.pk, body="Rude words")
print(room.pk)
"""
# Enough for a published change even on a busy machine, and too short for anything that is only found by polling.
NO_POLLS = {"CHAT_POLL_S": "300", "CHAT_REVALIDATE_S": "300"}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(env=NO_POLLS)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".messagelist .success")).to_be_visible()


async def on_selected(page: Page, rows: list[str], action: str) -> None:
    """Choose rows of a list by a text in them, and run an action on them."""
    for text in rows:
        await page.locator("#result_list tr", has_text=text).get_by_role("checkbox").check()
    await page.get_by_label("Action:").select_option(label=action)
    await page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()


async def test_changes_by_a_moderator_show_at_once_in_every_open_page(meet: Meet, site: Site) -> None:
    room = (await asyncio.to_thread(site.python, MAKE_ROOM)).strip()
    ana, ben, olga = [await meet(name, site) for name in ("ana", "ben", "olga")]
    pages = [await person.open(f"/rooms/{room}/") for person in (ana, ben)]
    for page in pages:
        await is_live(page)
        await expect(messages(page)).to_have_text(["Soop today", "Rude words"])
    in_anas, in_bens = pages
    admin = await olga.open(f"/admin/chat/message/?room={room}")

    # A message is edited …
    await admin.get_by_role("link", name="Soop today").click()
    await admin.get_by_label("Text:").fill("**Soup** today")
    await save(admin)
    for page in pages:
        await expect(page.locator(".message__body strong")).to_have_text("Soup")

    # … and one is removed.
    await admin.goto(f"{site.url}/admin/chat/message/?room={room}")
    await on_selected(admin, ["Rude words"], "Delete selected messages")
    await expect(admin.get_by_text("An empty entry stays in its place")).to_be_visible()
    await admin.get_by_role("button", name="Yes, delete").click()
    for page in pages:
        await expect(page.get_by_text("This message was deleted.")).to_be_visible()
        await expect(page.get_by_text("Rude words")).to_have_count(0)

    # The room is renamed, a member removed and another one added, in one go.
    await admin.goto(f"{site.url}/admin/chat/room/{room}/change/")
    await admin.get_by_label("Name:").fill("Canteen")
    await admin.locator("tr", has_text="ben").get_by_role("checkbox").check()
    await admin.get_by_role("button", name="Add another new member").click()
    await admin.locator("#memberships-2-0 .select2-selection").click()
    await admin.locator(".select2-search__field").fill("ev")
    await admin.locator(".select2-results__option", has_text="eve").click()
    await save(admin)
    await expect(in_anas.locator("[data-part=name]")).to_have_text("Canteen")
    await expect(in_bens.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(in_bens.get_by_label("Message", exact=True)).to_be_hidden()

    # It is archived, and made private: the removed person can't even read it now.
    await admin.goto(f"{site.url}/admin/chat/room/")
    await on_selected(admin, ["Canteen"], "Archive selected rooms")
    await expect(in_anas.get_by_text("This room is archived")).to_be_visible()
    await admin.get_by_role("link", name="Canteen").click()
    await admin.get_by_label("Kind:").select_option("private")
    await save(admin)
    talk = await talk_as(site.ws_url, site.user("ben"))
    assert (await talk.refused("history", room=room))["code"] == "room.not_found"
    assert (await talk.call("sync", rooms={room: None}))["rooms"] == {room: "denied"}

    # An account is switched off: its page says so, and every socket of it closes.
    await admin.goto(f"{site.url}/admin/auth/user/")
    await on_selected(admin, ["ben"], "Switch off the chosen accounts")
    assert await talk.closed() == 4503
    await expect(in_bens.get_by_text("Your account was closed.").first).to_be_visible()

    # The room is deleted.
    await admin.goto(f"{site.url}/admin/chat/room/{room}/delete/")
    await expect(admin.get_by_text("deleted for good")).to_be_visible()
    await admin.get_by_role("button", name="Yes, delete").click()
    await expect(in_anas.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(in_anas.get_by_role("link", name="Canteen")).to_have_count(0)


async def test_the_admins_other_pages_break_no_rule_of_the_site(meet: Meet, site: Site) -> None:
    """Lists, filters, chooser and delete page. The fixture checks at the end that no page logged an error."""
    room = (await asyncio.to_thread(site.python, MAKE_ROOM)).strip()
    admin = await (await meet("olga", site)).open("/admin/")
    await admin.goto(f"{site.url}/admin/chat/message/")
    await admin.get_by_label("author: Id or user name").fill("ben")
    await admin.get_by_label("author: Id or user name").press("Enter")
    await expect(admin.locator("#result_list tbody tr")).to_have_count(1)
    await admin.locator("#searchbar").fill("rude")
    await admin.locator("#searchbar").press("Enter")
    await expect(admin.get_by_text("Choose a room to search")).to_be_visible()

    await admin.goto(f"{site.url}/admin/chat/membership/add/")
    for field, typed, chosen in (("room", "kit", "Kitchen"), ("user", "dan", "dan")):
        await admin.locator(f".field-{field} .select2-selection").click()
        await admin.locator(".select2-search__field").fill(typed)
        await admin.locator(".select2-results__option", has_text=chosen).click()
    await save(admin)
    await expect(admin.locator("#result_list tbody tr").first).to_contain_text("dan")
    await admin.locator("#result_list tbody tr").first.get_by_role("link").first.click()
    await admin.get_by_role("link", name="Delete").click()
    await expect(admin.get_by_text("removed from the room at once")).to_be_visible()
    await admin.get_by_role("link", name="No, take me back").click()
    await expect(admin).to_have_url(re.compile("/change/"))
    for path in (f"room/{room}/history/", "room/add/", "token/", "room/?activity=never"):
        answer: Any = await admin.goto(f"{site.url}/admin/chat/{path}")
        assert answer.status == 200
