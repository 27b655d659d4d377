"""Which messages count as read, and the time zone of the reader."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.conftest import Meet, act, hold_scripts, is_live, is_printed
from tests.browser.test_timeline import SHIFT, looks, number, room
from tests.end_to_end.talk import Talk, talk_as
from tests.rig.four import BACKENDS, Backend
from tests.rig.site import Site

STORY = """
from datetime import datetime
from uuid import uuid4
from django.contrib.auth import get_user_model
from chat.access.policy import SITE
from chat.services import importing, memberships, read_pointers, rooms
people = {each.username: each for each in get_user_model().objects.filter(username__in=("ana", "ben"))}
def make(name, moments):
    made = rooms.create(by=people["ana"], name=name, kind="open")
    memberships.add(by=SITE, room_id=made.pk, user_id=str(people["ben"].pk))
    importing.import_messages(by=SITE, room_id=made.pk, messages=[
        importing.PastMessage(
            client_id=uuid4(), author=people["ben"], body=f"message {number}", created_at=datetime.fromisoformat(moment)
        )
        for number, moment in enumerate(moments, 1)
    ])
    return made
ahead = make("Ahead", [f"2026-01-05T12:{number // 4:02}+00:00" for number in range(200)])
read_pointers.move(by=people["ana"], room_id=ahead.pk, number=0, force=True)
make("Few", [f"2026-01-05T12:0{minute}+00:00" for minute in range(3)])
# In Tokyo it is the next day from 15:00 on.
make("Evening", [f"2026-01-{day}T{hour}:30+00:00" for day in ("05", "06", "07") for hour in ("11", "14", "15", "23")])
"""


@pytest.fixture(scope="module")
def story(shared_sites: Callable[[Backend], Site]) -> Site:
    """The shared site with rooms of ana and ben: ahead (200 messages that ana has not read), few, evening."""
    site = shared_sites(BACKENDS[0])
    site.python(STORY)
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def ana(story: Site) -> AsyncIterator[Talk]:
    """ana on another device."""
    talk = await talk_as(story.ws_url, story.user("ana"))
    yield talk
    await talk.close()


async def read_is(ana: Talk, wanted: int, slug: str = "ahead") -> None:
    async with asyncio.timeout(10):
        while (await room(ana, slug))["read"] != wanted:  # noqa: ASYNC110 - another device's
            await asyncio.sleep(0.05)


async def test_messages_scrolled_out_of_sight_are_not_read_and_a_short_room_is_read_by_hand(
    meet: Meet, story: Site, ana: Talk
) -> None:
    person = await meet("ana", story)
    page = await person.open("/rooms/few/")
    await is_live(page)
    await page.locator(".timeline").hover()
    await page.mouse.wheel(0, 100)
    await read_is(ana, 3, "few")
    await page.evaluate("document.querySelector('chat-room').style.transform = 'translateY(-300vh)'")
    ben = await talk_as(story.ws_url, story.user("ben"))
    await ben.post((await room(ana, "few"))["id"], "fourth")
    await ben.close()
    await expect(page.locator(".message")).to_have_count(4)
    # A page that is left sends a pending read pointer at once.
    await page.goto(f"{story.url}/rooms/")
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live")
    assert (await room(ana, "few"))["read"] == 3
    await page.goto(f"{story.url}/rooms/few/")
    await is_live(page)
    await read_is(ana, 4, "few")
    await act(page, "message 2", "Mark unread")
    await read_is(ana, 1, "few")
    await page.locator(".timeline").hover()
    await page.mouse.wheel(0, 100)
    await read_is(ana, 4, "few")


def line(page: Page) -> Any:
    """The room in the list beside another page."""
    return page.locator(".room-link", has_text="Ahead")


async def test_a_permalink_past_unread_messages_marks_none_as_read_before_the_newest_is_seen(
    meet: Meet, story: Site, ana: Talk
) -> None:
    person = await meet("ana", story)
    beside = await person.open("/people/")
    await is_live(await person.open("/rooms/evening/"))
    await expect(line(beside)).to_contain_text("99+")

    page = await person.open("/rooms/ahead/150/")
    await is_live(page)
    newest = page.get_by_role("button", name="Newest messages: 200")
    await expect(number(page, 150)).to_be_in_viewport(ratio=1)
    await number(page, 150).hover()
    await page.mouse.wheel(0, 200)
    await expect(number(page, 155)).to_be_in_viewport(ratio=1)
    await expect(newest).to_be_visible()
    await beside.reload()
    await expect(line(beside)).to_contain_text("99+")
    assert (await room(ana, "ahead"))["read"] == 0
    await page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    await read_is(ana, 200)
    await expect(line(beside).locator(".room-link__count")).to_have_count(0)
    await expect(page.get_by_role("button", name="Newest messages")).to_be_hidden()

    # A room marked unread elsewhere stays unread, even on the screen that shows its newest message.
    await ana.call("read", room=(await room(ana, "ahead"))["id"], number=0, force=True)
    await expect(line(beside)).to_contain_text("99+")
    # A reader who follows a permalink to one of the last messages has not scrolled to the newest either.
    await page.goto(f"{story.url}/rooms/ahead/199/")
    await is_live(page)
    await expect(number(page, 200)).to_be_in_viewport(ratio=1)
    await expect(newest).to_be_visible()
    assert (await room(ana, "ahead"))["read"] == 0
    await newest.click()
    await read_is(ana, 200)
    await expect(page.get_by_role("button", name="Newest messages")).to_be_hidden()


async def test_the_second_page_is_printed_in_the_zone_of_the_reader_and_doesn_t_move(meet: Meet, story: Site) -> None:
    person = await meet("ana", story, timezone_id="Asia/Tokyo")
    await is_live(await person.open("/rooms/evening/"))
    scripts = await hold_scripts(person)
    page = await person.open("/rooms/evening/", wait_until="commit")
    await is_printed(page)
    printed = await looks(page)
    days = page.locator(".day")
    assert await days.count() == 4, "three days in UTC"
    assert await page.locator(".message time").first.text_content() == "20:30"
    scripts.set()
    await is_live(page)
    drawn = await looks(page)
    assert drawn == printed
    assert await page.evaluate(SHIFT) <= 0.01
