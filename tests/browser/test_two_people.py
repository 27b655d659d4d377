"""The guarantee as people see it on the screen: nothing lost, nothing doubled, everybody sees the same."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.conftest import Meet, Person, act, is_live, messages, write
from tests.rig.browser import CHROMIUM
from tests.rig.site import Site

MAKE_ROOM = """
from django.contrib.auth import get_user_model
from chat.services import memberships, rooms
users = get_user_model().objects
room = rooms.create(by=users.get(username="ana"), name="Kitchen", kind="open", topic="Who cooks what")
memberships.join(by=users.get(username="ben"), room_id=room.pk)
print(room.pk)
"""
STORED = """
from chat.models import Message
for each in Message.objects.order_by("number"):
    print(each.number, each.author.username, each.body)
"""


@pytest.fixture
def kitchen(make_site: Callable[..., Site]) -> Site:
    """A site of one process with a room of ana and ben: /rooms/kitchen/."""
    site = make_site()
    site.python(MAKE_ROOM)
    return site


async def stored(site: Site) -> list[str]:
    return (await asyncio.to_thread(site.python, STORED)).splitlines()


async def both(meet: Meet, site: Site) -> tuple[Page, Page]:
    pages = []
    for name in ("ana", "ben"):
        page = await (await meet(name, site)).open("/rooms/kitchen/")
        await is_live(page)
        pages.append(page)
    return pages[0], pages[1]


async def test_two_people_talk(meet: Meet, kitchen: Site) -> None:
    ana, ben = await both(meet, kitchen)
    await write(ana, "Soup today?", "With **leek**")
    await expect(messages(ben)).to_have_text(["Soup today?", "With leek"])
    await write(ben, "Yes!")
    for page in (ana, ben):
        await expect(messages(page)).to_have_text(["Soup today?", "With leek", "Yes!"])
    await expect(ben.locator(".message__body strong")).to_have_text("leek")


async def test_after_the_server_was_killed_both_catch_up_and_nothing_is_missing_or_doubled(
    meet: Meet, kitchen: Site
) -> None:
    ana, ben = await both(meet, kitchen)
    await write(ana, "before 1", "before 2")
    await expect(messages(ben)).to_have_count(2)
    kitchen.processes[0].kill()
    await write(ana, "meanwhile 1", "meanwhile 2")
    await write(ben, "meanwhile ben")
    await expect(ana.get_by_text("Waiting for the connection").first).to_be_visible()
    await expect(ana.locator("[data-part=banner]")).to_contain_text("The connection is lost")
    await expect(messages(ana).last).to_be_in_viewport(ratio=1)
    await asyncio.to_thread(kitchen.processes[0].start)
    for page in (ana, ben):
        await is_live(page)
    for page in (ana, ben):
        await expect(messages(page)).to_have_count(5)
        await expect(page.locator(".message__state")).to_have_count(0)
    rows = await stored(kitchen)
    assert sorted(row.partition(" ")[2] for row in rows) == [
        "ana before 1",
        "ana before 2",
        "ana meanwhile 1",
        "ana meanwhile 2",
        "ben meanwhile ben",
    ]
    assert [int(row.split()[0]) for row in rows] == [1, 2, 3, 4, 5]
    in_order = [row.split(" ", 2)[2] for row in rows]
    for page in (ana, ben):
        await expect(messages(page)).to_have_text(in_order)
    assert in_order.index("meanwhile 1") < in_order.index("meanwhile 2")


def kill_browser(profile: Path) -> None:
    """Kill every process of the browser with this profile by SIGKILL, so that it saves nothing more."""
    started = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            if f"--user-data-dir={profile}".encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                started += 1
    assert started, "there was a browser to kill"


async def test_a_message_written_while_the_server_is_down_survives_a_killed_browser_and_arrives_once(
    kitchen: Site, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    async with async_playwright() as playwright:
        options: dict[str, Any] = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}

        async def ana_at_her_machine() -> Person:
            context = await playwright.chromium.launch_persistent_context(profile, **options)
            person = Person("ana", kitchen, context)
            await person.sign_in()
            return person

        person = await ana_at_her_machine()
        page = await person.open("/rooms/kitchen/")
        await is_live(page)
        kitchen.processes[0].kill()
        await write(page, "written in the dark", "and one more")
        await expect(page.get_by_text("Waiting for the connection")).to_have_count(2)
        async with person.context.expect_event("close"):
            kill_browser(profile)
        await asyncio.to_thread(kitchen.processes[0].start)
        assert await stored(kitchen) == []

        person = await ana_at_her_machine()
        page = await person.open("/rooms/kitchen/")
        await expect(messages(page)).to_have_text(["written in the dark", "and one more"])
        await expect(page.locator(".message__state")).to_have_count(0)
        await person.context.close()
        assert person.complaints == []
    assert await stored(kitchen) == ["1 ana written in the dark", "2 ana and one more"]


STORED_DRAFTS = """() => new Promise((resolve) => {
  const opening = indexedDB.open("chat-outbox")
  opening.onsuccess = () => {
    const drafts = opening.result.transaction("drafts").objectStore("drafts").getAll()
    drafts.onsuccess = () => (opening.result.close(), resolve(drafts.result.map(({ text }) => text).join()))
  }
})"""


async def draft_is(page: Page, text: str) -> None:
    async with asyncio.timeout(30):
        while await page.evaluate(STORED_DRAFTS) != text:  # noqa: ASYNC110 - the database tells nobody of changes
            await asyncio.sleep(0.02)


async def test_a_killed_browser_keeps_the_draft_and_does_not_bring_back_as_a_draft_what_was_sent(
    kitchen: Site, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"
    async with async_playwright() as playwright:

        async def opened() -> tuple[Person, Page]:
            context = await playwright.chromium.launch_persistent_context(
                profile, executable_path=CHROMIUM, args=["--no-sandbox"]
            )
            person = Person("ana", kitchen, context)
            await person.sign_in()
            page = await person.open("/rooms/kitchen/")
            await is_live(page)
            return person, page

        async def killed(person: Person) -> None:
            async with person.context.expect_event("close"):
                kill_browser(profile)

        person, page = await opened()
        box = page.get_by_label("Message", exact=True)
        await box.fill("Half a thought")
        await draft_is(page, "Half a thought")
        await killed(person)

        person, page = await opened()
        box = page.get_by_label("Message", exact=True)
        await expect(box).to_have_value("Half a thought")
        await box.fill("A whole thought")
        await draft_is(page, "A whole thought")
        await box.press("Enter")
        await draft_is(page, "")
        await killed(person)

        person, page = await opened()
        await expect(messages(page)).to_have_text(["A whole thought"])
        await expect(page.locator(".message__state")).to_have_count(0)
        await expect(page.get_by_label("Message", exact=True)).to_have_value("")
        await person.context.close()
    assert await stored(kitchen) == ["1 ana A whole thought"]


async def test_two_tabs_of_one_person_send_each_message_once_and_in_order(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen)
    tabs = [await ana.open("/rooms/kitchen/") for _ in range(2)]
    for tab in tabs:
        await is_live(tab)
    wanted = [f"tab {number % 2}, message {number}" for number in range(8)]
    for number, body in enumerate(wanted):
        tab = tabs[number % 2]
        # The tabs share their draft. On a slow machine one shows what is being typed in the other, until that is sent.
        await expect(messages(tab)).to_have_count(number)
        await expect(tab.get_by_label("Message", exact=True)).to_have_value("")
        await write(tab, body)
    for tab in tabs:
        await expect(messages(tab)).to_have_text(wanted)
        await expect(tab.locator(".message__state")).to_have_count(0)
    # The tab that sends is closed, and the other one takes over.
    await tabs[0].close()
    await write(tabs[1], "alone")
    await expect(messages(tabs[1])).to_have_text([*wanted, "alone"])
    await expect(tabs[1].locator(".message__state")).to_have_count(0)
    assert [row.split(" ", 2)[2] for row in await stored(kitchen)] == [*wanted, "alone"]


async def test_an_edit_a_deletion_and_a_reaction_show_on_the_other_screen(meet: Meet, kitchen: Site) -> None:
    ana, ben = await both(meet, kitchen)
    await write(ana, "Soop", "To be deleted")
    await expect(messages(ben)).to_have_count(2)
    await expect(ana.locator(".message__state")).to_have_count(0)

    await act(ana, "Soop", "Edit")
    await ana.get_by_label("Message", exact=True).fill("Soup")
    await ana.keyboard.press("Enter")
    await expect(messages(ben).first).to_contain_text("Soup")
    await expect(messages(ben).first).to_contain_text("(edited)")

    await act(ana, "To be deleted", "Delete")
    await ana.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(ben.locator(".message__gone")).to_have_text("This message was deleted.")

    await act(ben, "Soup", "React with 🎉")
    await expect(ana.get_by_role("button", name="🎉, 1")).to_have_attribute("aria-pressed", "false")
    await expect(ben.get_by_role("button", name="🎉, 1")).to_have_attribute("aria-pressed", "true")
    await ben.get_by_role("button", name="🎉, 1").click()
    await expect(ana.locator(".reaction")).to_have_count(0)

    await act(ben, "Soup", "Reply")
    await expect(ben.get_by_text("Replying to ana")).to_be_visible()
    await write(ben, "With bread")
    await expect(ana.locator(".message__quote")).to_have_text("ana: Soup")


async def test_a_typing_person_is_named_on_the_other_screen_and_unread_counts_rise(meet: Meet, kitchen: Site) -> None:
    ana, ben = await both(meet, kitchen)
    await ana.get_by_label("Message", exact=True).press_sequentially("So")
    await expect(ben.get_by_text("ana is typing …")).to_be_visible()
    await ben.goto(kitchen.url)
    await write(ana, "one", "two")
    await expect(ben.locator(".room-link__count")).to_contain_text("2")
    await expect(ben).to_have_title("(2) Rooms · Hearth")
    await ben.locator(".room-link").get_by_role("link", name="Kitchen").click()
    await expect(messages(ben)).to_have_text(["one", "two"])
    await expect(ben.locator(".room-link__count")).to_have_count(0)


async def test_a_room_is_made_found_and_joined_in_the_page(meet: Meet, kitchen: Site) -> None:
    ana = await (await meet("ana", kitchen)).open()
    await ana.locator(".sidebar").get_by_role("link", name="New room").click()
    await ana.get_by_label("Name").fill("Garden")
    await ana.get_by_label("Topic").fill("Seeds")
    await ana.get_by_role("button", name="Create").click()
    await expect(ana.get_by_role("heading", name="Garden")).to_be_visible()
    await is_live(ana)
    await write(ana, "Tomatoes")
    eve = await (await meet("eve", kitchen)).open()
    await eve.get_by_role("link", name="Browse rooms").click()
    await eve.get_by_role("button", name="Join Garden").click()
    await is_live(eve)
    await expect(messages(eve)).to_have_text(["Tomatoes"])
    await write(eve, "Beans")
    await expect(messages(ana)).to_have_text(["Tomatoes", "Beans"])


async def test_a_missing_room_and_somebody_elses_are_the_same_404(browser: Browser, meet: Meet, kitchen: Site) -> None:
    secret = await asyncio.to_thread(
        kitchen.python,
        MAKE_ROOM.replace('"open"', '"private"').replace("Kitchen", "Secret").replace("memberships.join", "dict"),
    )
    eve = await meet("eve", kitchen)
    answers = [
        await eve.context.request.get(f"{kitchen.url}/rooms/{room}/")
        for room in (secret.strip(), "99999", "secret", "nothing")
    ]
    assert [answer.status for answer in answers] == [404] * 4
    assert len({await answer.text() for answer in answers}) == 1
    stranger = await browser.new_context()
    answer = await stranger.request.get(f"{kitchen.url}/rooms/kitchen/")
    assert "/accounts/login/" in answer.url


async def test_a_page_says_so_when_its_person_signs_out_elsewhere(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen)
    page = await ana.open("/rooms/kitchen/")
    await is_live(page)
    other = await ana.open()
    await other.locator(".account__summary").click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    await expect(page.locator("[data-part=banner]")).to_contain_text("You are signed out")


ARCHIVE = """
from django.contrib.auth import get_user_model
from chat.models import Room
from chat.services import rooms
ana = get_user_model().objects.get(username="ana")
rooms.update(by=ana, room_id=Room.objects.get(slug="kitchen").pk, archived=True)
"""


async def test_a_message_that_is_refused_says_why_and_can_be_thrown_away(meet: Meet, kitchen: Site) -> None:
    page = await (await meet("ben", kitchen)).open("/rooms/kitchen/")
    await is_live(page)
    kitchen.processes[0].kill()
    await write(page, "too late")
    await expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    await asyncio.to_thread(kitchen.python, ARCHIVE)
    await asyncio.to_thread(kitchen.processes[0].start)
    await is_live(page)
    await expect(page.get_by_text("Not sent: This room is archived")).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_text("Not sent: This room is archived")).to_be_visible()
    await page.get_by_role("button", name="Discard").click()
    await expect(messages(page)).to_have_count(0)
    await expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    assert await stored(kitchen) == []


DIFFICULT = (
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 4,
    "```python\n" + "x = " + "1 + " * 80 + "1\n```",
    "| a | b |\n|---|---|\n| " + "wide " * 60 + " | 2 |",
    "مرحبا بالجميع، متى نأكل اليوم؟ https://example.org/" + "path/" * 40,
)


WIDER_THAN_THEIR_PLACE = """() =>
  [document.documentElement, ...document.querySelectorAll(".timeline, .message")]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.className)
"""


@pytest.mark.parametrize("width", [320, 390, 1280, 2560])
async def test_no_page_is_wider_than_its_window(meet: Meet, kitchen: Site, width: int) -> None:
    ana = await meet("ana", kitchen, viewport={"width": width, "height": 700})
    page = await ana.open("/rooms/kitchen/")
    await is_live(page)
    await write(page, *DIFFICULT)
    await expect(messages(page)).to_have_count(len(DIFFICULT))
    await expect(page.locator(".message__state")).to_have_count(0)
    for path in ("/rooms/kitchen/", "/"):
        await page.goto(kitchen.url + path)
        assert await page.evaluate(WIDER_THAN_THEIR_PLACE) == []


async def test_the_keyboard_is_enough(meet: Meet, kitchen: Site) -> None:
    page = await (await meet("ana", kitchen)).open("/rooms/kitchen/")
    await is_live(page)
    press = page.keyboard.press
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()
    await page.keyboard.type("first")
    await press("Shift+Enter")
    await page.keyboard.type("second line")
    await press("Enter")
    await expect(messages(page)).to_have_text(["first\nsecond line"], use_inner_text=True)
    await expect(page.locator(".message__state")).to_have_count(0)
    await press("ArrowUp")
    await expect(page.get_by_text("Editing your message")).to_be_visible()
    await press("Escape")
    await expect(page.get_by_text("Editing your message")).to_be_hidden()
    await page.get_by_role("log").focus()
    await press("ArrowUp")
    await press("Enter")
    await expect(page.get_by_role("button", name="React with 👍")).to_be_focused()
    await press("Enter")
    await expect(page.get_by_role("button", name="👍, 1")).to_be_visible()


REMOVE = """
from django.contrib.auth import get_user_model
from chat.access.policy import SITE
from chat.models import Room
from chat.services import memberships
ben = get_user_model().objects.get(username="ben")
memberships.remove(by=SITE, room_id=Room.objects.get(name="Secret").pk, user_id=str(ben.pk))
"""
SECRET = (
    MAKE_ROOM.replace("Kitchen", "Secret")
    .replace('"open"', '"private"')
    .replace(
        'memberships.join(by=users.get(username="ben"), ',
        'memberships.add(by=SITE, user_id=str(users.get(username="ben").pk), ',
    )
    .replace("from chat.services", "from chat.access.policy import SITE\nfrom chat.services")
)


async def test_a_removed_member_is_told_and_can_no_longer_write(meet: Meet, kitchen: Site) -> None:
    room = (await asyncio.to_thread(kitchen.python, SECRET)).strip()
    page = await (await meet("ben", kitchen)).open(f"/rooms/{room}/")
    await is_live(page)
    await asyncio.to_thread(kitchen.python, REMOVE)
    await expect(page.get_by_text("You are not in this room any more.")).to_be_visible(timeout=10_000)
    await expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    await expect(page.get_by_role("link", name="Secret")).to_have_count(0)


PAIR = """
from django.contrib.auth import get_user_model
from chat import api
users = get_user_model().objects
room = api.open_direct(users.get(username="ana"), [users.get(username="ben")])
api.post(room, users.get(username="ben"), "Bye!")
print(room.pk)
"""


async def test_an_open_page_tells_that_there_is_nobody_left_to_write_to(meet: Meet, kitchen: Site) -> None:
    room = (await asyncio.to_thread(kitchen.python, PAIR)).strip()
    page = await (await meet("ana", kitchen)).open(f"/rooms/{room}/")
    await is_live(page)
    await expect(page.get_by_role("heading", name="ben")).to_be_visible()
    ben = await (await meet("ben", kitchen)).open("/settings/delete/")
    await ben.get_by_label("Your password").fill("password")
    await ben.get_by_role("button", name="Delete my account").click()
    await expect(page.get_by_role("heading", name="Deleted account")).to_be_visible()
    await expect(page.get_by_role("link", name="Deleted account")).to_have_count(1)
    await expect(page.get_by_text("Nobody else is left in this conversation")).to_be_visible()
    await expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    await expect(messages(page)).to_have_text(["Bye!"])


async def test_the_list_of_rooms_says_so_when_the_connection_is_gone(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen)
    page = await ana.open("/")
    banner = page.locator("[data-part=banner]")
    await expect(banner).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(banner).to_be_hidden()
    kitchen.processes[0].kill()
    await expect(banner).to_be_visible(timeout=20_000)
    await asyncio.to_thread(kitchen.processes[0].start)
    await expect(banner).to_be_hidden(timeout=40_000)
