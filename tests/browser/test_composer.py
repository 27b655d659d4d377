"""Writing messages in the browser: drafts are kept, actions are shown to others, and the keyboard is enough."""

import asyncio
import re
from collections.abc import Callable

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.conftest import SOON_FINAL, Meet, Person, hold_scripts, is_live, messages, write
from tests.rig.site import Site

MAKE_ROOM = """
from django.contrib.auth import get_user_model
from chat.services import memberships, rooms
users = get_user_model().objects
room = rooms.create(by=users.get(username="ana"), name="Kitchen", kind="open", topic="Who cooks what")
memberships.join(by=users.get(username="ben"), room_id=room.pk)
"""
REMOVE_MESSAGE = """
from chat.access.policy import SITE
from chat.models import Message
from chat.services import messages
messages.delete(by=SITE, message_id=Message.objects.get(number={}).pk)
"""
ARCHIVE = """
from django.contrib.auth import get_user_model
from chat.models import Room
from chat.services import rooms
ana = get_user_model().objects.get(username="ana")
rooms.update(by=ana, room_id=Room.objects.get(slug="kitchen").pk, archived={})
"""
GARDEN = """
from django.contrib.auth import get_user_model
from chat.services import rooms
rooms.create(by=get_user_model().objects.get(username="ben"), name="Garden", kind="open", topic="Seeds")
"""

MANY = """
from uuid import uuid4
from django.contrib.auth import get_user_model
from chat.access.policy import SITE
from chat.services import memberships, messages, rooms
users = get_user_model().objects
ana, ben = users.get(username="ana"), users.get(username="ben")
for number in range(1, 41):
    room = rooms.create(by=ana, name=f"Attic {number:02}", kind="private")
    memberships.add(by=SITE, room_id=room.pk, user_id=str(ben.pk))
    author = ben if number > 38 else ana
    messages.post(by=author, room_id=room.pk, client_id=uuid4(), body="Soup")
"""


@pytest.fixture
def kitchen(make_site: Callable[..., Site]) -> Site:
    """A site of one process with a room of ana and ben: /rooms/kitchen/."""
    site = make_site(env=SOON_FINAL)
    site.python(MAKE_ROOM)
    return site


def box(page: Page):
    return page.get_by_label("Message", exact=True)


async def room_of(person: Person, name: str = "kitchen") -> Page:
    page = await person.open(f"/rooms/{name}/")
    await is_live(page)
    return page


async def test_a_draft_outlives_its_tab_is_shared_by_both_tabs_and_does_not_return_once_sent(
    meet: Meet, kitchen: Site
) -> None:
    ana = await meet("ana", kitchen)
    page = await room_of(ana)
    await write(page, "Soop")
    await expect(page.locator(".message__state")).to_have_count(0)
    await box(page).press_sequentially("Half a thought")
    await page.reload()
    await expect(box(page)).to_have_value("Half a thought")
    # The draft survives an edit of another message and a closed tab.
    await page.locator(".message").focus()
    await page.keyboard.press("e")
    await box(page).fill("Soup")
    await page.close()
    page = await room_of(ana)
    await expect(page.get_by_text("Editing your message")).to_be_visible()
    await expect(box(page)).to_have_value("Soup")
    await box(page).press("Enter")
    await expect(messages(page)).to_contain_text(["Soup"])
    await expect(box(page)).to_have_value("Half a thought")
    # Another tab shows the draft too. Once sent in one tab it is gone from both, whatever the other saves on closing.
    other = await room_of(ana)
    await expect(box(other)).to_have_value("Half a thought")
    await box(other).press("Enter")
    await expect(box(page)).to_have_value("")
    await page.reload()
    await expect(messages(page)).to_have_count(2)
    await expect(box(page)).to_have_value("")


async def test_text_that_is_typed_before_the_scripts_run_is_kept(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen)
    scripts = await hold_scripts(ana)
    page = await ana.open("/rooms/kitchen/", wait_until="commit")
    box = page.get_by_label("Message", exact=True)
    await box.fill("Typed early\n")
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    # If the scripts never come, the page says so after a while.
    late = page.get_by_text("The page is not ready yet.")
    await expect(late).to_be_hidden()
    await page.wait_for_function(
        "document.getAnimations().some((each) => each.animationName === 'chat-late' && !each.finish())"
    )
    await expect(late).to_be_visible()
    scripts.set()
    await is_live(page)
    await expect(late).to_be_hidden()
    await expect(box).to_have_value("Typed early\n")
    await box.press("Control+End")
    await box.press_sequentially("and late")
    await page.get_by_role("button", name="Send").click()
    await expect(messages(page)).to_have_text(["Typed early\nand late"], use_inner_text=True)


async def test_the_menu_needs_no_mouse(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen, permissions=["clipboard-read", "clipboard-write"])
    page = await room_of(ana)
    ben = await room_of(await meet("ben", kitchen))
    await write(page, "Soop", "To be deleted")
    await expect(messages(ben)).to_have_count(2)
    await expect(page.locator(".message__state")).to_have_count(0)
    press = page.keyboard.press

    async def choose(number: int, name: str) -> None:
        await page.locator(f".message[data-number='{number}']").focus()
        await press("Enter")
        menu = page.get_by_role("dialog", name="Message actions")
        await expect(menu.get_by_role("button", name="React with 👍")).to_be_focused()
        labels = await menu.get_by_role("button").all_inner_texts()
        at = [label.strip() for label in labels].index(name)
        await press("End")
        for _ in range(len(labels) - 1 - at):
            await press("ArrowUp")
        await expect(menu.get_by_role("button", name=name, exact=True)).to_be_focused()
        await press("Enter")

    await choose(1, "Edit")
    await expect(page.get_by_role("button", name="Save")).to_be_visible()
    await expect(page.locator(".message--editing")).to_have_attribute("data-number", "1")
    await page.keyboard.press("Control+A")
    await page.keyboard.type("Soup")
    await press("Enter")
    await expect(messages(ben).first).to_contain_text("Soup")
    await choose(1, "Copy link")
    await expect(page.get_by_role("status").get_by_text("Link copied")).to_be_visible()
    link = await page.evaluate("navigator.clipboard.readText()")
    await expect(page.locator(".message[data-number='1']")).to_be_focused()
    await choose(1, "Reply")
    await expect(page.locator(".message--editing")).to_have_count(0)
    await expect(page.locator(".composer__about")).to_contain_text("Replying to anaSoup")
    await page.keyboard.type("With bread")
    await press("Enter")
    await expect(ben.locator(".message__quote")).to_have_text("ana: Soup")
    await choose(2, "Delete")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    await press("Tab")
    await press("Enter")
    await expect(ben.locator(".message__gone")).to_have_text("This message was deleted.")
    await page.locator(".message[data-number='1']").focus()
    await press("Enter")
    await press("ArrowRight")
    await press("Enter")
    await ben.locator(".reaction").hover()
    await expect(ben.get_by_role("button", name="❤️, 1: ana")).to_be_visible()
    # An invalid emoji is refused beside its field. Escape returns the focus to the message whose menu was opened.
    await page.locator(".message[data-number='1']").focus()
    await press("Enter")
    await expect(page.locator(".message--open")).to_have_attribute("data-number", "1")
    await page.get_by_label("Other emoji").fill("soup")
    await press("Enter")
    await expect(page.locator(".menu").get_by_text("That is not an emoji.")).to_be_visible()
    await press("Escape")
    await expect(page.locator(".menu")).to_be_hidden()
    await expect(page.locator(".message--open")).to_have_count(0)
    assert await page.evaluate("document.activeElement.closest('.message')?.dataset.number") == "1"
    await press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await press("Escape")
    await expect(page.locator(".message[data-number='1']")).to_be_focused()
    # A person who opens the shortcuts by a click returns to the text they were writing.
    await box(page).focus()
    await page.get_by_role("button", name="Keyboard shortcuts").click()
    await press("Escape")
    await expect(box(page)).to_be_focused()
    await page.goto(link)
    assert link.startswith(kitchen.url)
    await expect(page.locator(".message[data-number='1']")).to_be_in_viewport()


async def test_the_focus_stays_in_the_page_when_the_focused_element_is_removed(meet: Meet, kitchen: Site) -> None:
    page = await room_of(await meet("ana", kitchen))
    press, log = page.keyboard.press, page.get_by_role("log")
    await write(page, "one", "two", "three")
    await expect(page.locator(".message__menu")).to_have_count(3)
    await page.locator(".message[data-number='2']").focus()
    await press("Enter")
    await expect(page.locator(".menu")).to_be_visible()
    await asyncio.to_thread(kitchen.python, REMOVE_MESSAGE.format(2))
    await expect(page.locator(".menu")).to_be_hidden(timeout=10_000)
    await expect(page.locator(".message[data-number='2']")).to_be_focused()
    await press("+")
    await expect(page.locator(".menu")).to_be_hidden()
    # The edit of a message that was deleted meanwhile becomes the draft of a new one.
    await press("End")
    await press("e")
    await page.keyboard.type(", four")
    await asyncio.to_thread(kitchen.python, REMOVE_MESSAGE.format(3))
    await expect(page.locator(".message__gone")).to_have_count(2, timeout=10_000)
    await press("Enter")
    await expect(page.get_by_text("There is no such message")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_visible()
    await expect(box(page)).to_have_value("three, four")
    # The room is archived, which hides the text field. Then the message that a dialog asks about disappears.
    await asyncio.to_thread(kitchen.python, ARCHIVE.format(True))
    await expect(box(page)).to_be_hidden(timeout=10_000)
    await expect(log).to_be_focused()
    await press("Home")
    await press("Delete")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await log.evaluate("log => log.querySelectorAll('.message').forEach((each) => each.remove())")
    await press("Escape")
    await expect(log).to_be_focused()


async def test_people_are_named_from_a_list_and_the_count_at_the_other_end_says_so(meet: Meet, kitchen: Site) -> None:
    ana = await room_of(await meet("ana", kitchen))
    ben = await (await meet("ben", kitchen)).open("/")
    await expect(ben.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await box(ana).press_sequentially("Ask @b")
    await expect(ana.get_by_role("listbox").get_by_role("option")).to_have_text(["ben@ben"])
    await expect(ana.get_by_role("combobox")).to_have_attribute("aria-expanded", "true")
    await ana.keyboard.press("Escape")
    await expect(ana.get_by_role("listbox")).to_be_hidden()
    await expect(box(ana)).to_have_value("Ask @b")
    await ana.keyboard.press("Backspace")
    await ana.keyboard.press("Backspace")
    await ana.keyboard.type("@BE")
    await expect(ana.get_by_role("option", selected=True)).to_be_visible()
    await ana.keyboard.press("Enter")
    await expect(box(ana)).to_have_value("Ask @ben ")
    await ana.keyboard.press("Control+Z")
    await expect(box(ana)).to_have_value("Ask @BE")
    await ana.keyboard.press("Control+Y")
    await ana.keyboard.type("first")
    await ana.keyboard.press("Enter")
    await expect(messages(ana)).to_have_text(["Ask @ben first"])
    line = ben.locator(".room-link", has_text="Kitchen")
    await expect(line.locator(".room-link__count--mention")).to_contain_text("@1")
    await line.get_by_role("link").focus()
    await write(ana, "and soon")
    await expect(line.locator(".room-link__count").last).to_contain_text("2")
    await expect(line.get_by_role("link")).to_have_accessible_name(re.compile("^Kitchen ?, mentions: 1 ?, unread: 2$"))
    await expect(ben).to_have_title("(2) Rooms · Hearth")
    await expect(line.get_by_role("link")).to_be_focused()
    await ben.keyboard.press("Enter")
    await expect(messages(ben)).to_have_count(2)
    await expect(ben.locator(".room-link__count")).to_have_count(0)


async def test_the_list_shows_the_present_room_and_says_that_unread_rooms_are_further_down(
    meet: Meet, kitchen: Site
) -> None:
    kitchen.python(MANY)
    page = await room_of(await meet("ana", kitchen))
    current = page.locator(".room-link", has_text="Kitchen")
    await expect(current).to_be_in_viewport(ratio=1)
    assert await page.evaluate("scrollY") == 0
    await page.locator(".room-list__nav").evaluate("nav => { nav.scrollTop = 0 }")
    await expect(current).not_to_be_in_viewport()
    below = page.get_by_role("button", name="Unread below: 2")
    await below.click()
    await expect(page.locator(".room-link", has_text="Attic 39")).to_be_in_viewport(ratio=1)
    await expect(below).to_be_hidden()
    await expect(page.get_by_role("link", name=re.compile("^Attic 39 ?, private ?, unread: 1$"))).to_be_visible()


async def test_a_person_whose_account_ends_is_told_so_and_offered_nothing(meet: Meet, kitchen: Site) -> None:
    ben, sockets = await meet("ben", kitchen), []
    page = await ben.context.new_page()

    def opened(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    await page.route_web_socket("**/ws/chat/", opened)
    await page.goto(f"{kitchen.url}/rooms/kitchen/")
    await is_live(page)
    await sockets[0].close(code=4503)
    banner = page.locator("[data-part=banner]")
    await expect(banner).to_have_text("Your account was closed.")
    await expect(banner.get_by_role("button")).to_have_count(0)
    await expect(box(page)).to_be_hidden()
    await expect(page.locator(".room__outside")).to_contain_text("Your account was closed.")


async def test_a_text_that_is_too_long_or_refused_says_why_and_is_not_lost(meet: Meet, kitchen: Site) -> None:
    page = await room_of(await meet("ben", kitchen))
    await box(page).fill("x" * 9_600)
    await expect(page.get_by_text("Characters left: 400")).to_be_visible()
    send = page.get_by_role("button", name="Send")
    await expect(send).to_have_attribute("aria-disabled", "false")
    await box(page).fill("x" * 10_001)
    await expect(page.get_by_text("Characters over the limit: 1")).to_be_visible()
    await expect(send).to_be_disabled()
    await expect(send).to_have_accessible_description("Characters over the limit: 1")
    for press in (page, send):
        await (press.keyboard.press("Enter") if press is page else press.press("Enter"))
        error = page.get_by_text("A message may have at most 10000 characters. This one has 10001.")
        await expect(error).to_be_visible()
    await expect(box(page)).to_have_value("x" * 10_001)
    await box(page).fill("")
    kitchen.processes[0].kill()
    await write(page, "too late", "never mind")
    await box(page).press_sequentially("and another thing")
    await expect(page.get_by_text("Waiting for the connection")).to_have_count(2)
    # A link would lead to the browser's error page.
    await expect(page.locator("[data-part=banner]")).to_contain_text("The connection is lost")
    await page.get_by_role("link", name="Browse rooms").click(delay=2_000)
    toast, writing = page.locator(".toast"), page.locator(".composer")
    await expect(toast).to_have_text("There is no connection. The page can be opened when it is back.")
    tops = [(await each.bounding_box() or {})["y"] for each in (toast, writing)]
    assert tops[0] + (await toast.bounding_box() or {})["height"] <= tops[1], "it covers what one writes"
    await expect(box(page)).to_have_value("and another thing")
    await asyncio.to_thread(kitchen.python, ARCHIVE.format(True))
    await asyncio.to_thread(kitchen.processes[0].start)
    await is_live(page)
    await expect(page.get_by_text("Not sent: This room is archived")).to_have_count(2)
    await expect(box(page)).to_be_hidden()
    await expect(page.get_by_text("This room is archived: it can be read, not written to.", exact=True)).to_be_visible()
    await page.locator(".message", has_text="never mind").get_by_role("button", name="Discard").click()
    await expect(page.get_by_text("never mind")).to_have_count(0)
    await asyncio.to_thread(kitchen.python, ARCHIVE.format(False))
    await expect(box(page)).to_have_value("and another thing")
    await expect(box(page)).to_be_visible()
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".message__failure")).to_have_count(0)
    await expect(messages(page)).to_have_text(["too late"])
    await expect(page.locator(".message__state")).to_have_count(0)


async def test_a_phone_shows_unread_counts_of_other_rooms_on_the_way_back(meet: Meet, kitchen: Site) -> None:
    await asyncio.to_thread(kitchen.python, GARDEN)
    person = await meet("ana", kitchen, viewport={"width": 390, "height": 844})
    page, ben = await room_of(person, "garden"), await room_of(await meet("ben", kitchen))
    back, name = page.locator(".room__back"), page.locator(".room__name")
    drawn = "each => getComputedStyle(each, '::after').content"
    assert await back.evaluate(drawn) == "none"
    places = [await each.bounding_box() for each in (back, name)]
    await write(ben, "Soup!", "Bread!")
    await expect(back).to_have_accessible_name("All rooms. Unread elsewhere: 2")
    assert (await back.evaluate(drawn)).startswith('"2"')
    assert [await each.bounding_box() for each in (back, name)] == places


async def test_ctrl_k_finds_a_room_by_typing_while_rooms_come_and_a_draft_leaves_a_mark(
    meet: Meet, kitchen: Site
) -> None:
    await asyncio.to_thread(kitchen.python, MANY.replace("range(1, 41)", "range(1, 4)"))
    person = await meet("ben", kitchen)
    page = await room_of(person)
    press, find = page.keyboard.press, page.get_by_label("Find one of your rooms")
    links = page.locator(".room-link__target:visible")
    await expect(links).to_have_count(4)
    await box(page).fill("half a sentence")
    await press("Control+k")
    await expect(find).to_be_focused()
    await find.press_sequentially("ÁTTIC 0")
    await expect(links).to_have_count(3)
    both = GARDEN.replace("Garden", "Cellar") + GARDEN.replace("Garden", "Attic 00")
    await asyncio.to_thread(kitchen.python, both)
    await expect(links).to_have_count(4, timeout=30_000)
    await press("ArrowDown")
    await expect(links.first).to_be_focused()
    await press("ArrowUp")
    await expect(find).to_be_focused()
    await find.fill("zebra")
    await expect(page.get_by_text("None of your rooms is called that.")).to_be_visible()
    await press("Escape")
    await expect(box(page)).to_be_focused()
    await expect(links).to_have_count(6)
    await expect(page.get_by_text("None of your rooms is called that.")).to_be_hidden()
    await press("Control+k")
    await find.press_sequentially("02")
    await press("Enter")
    await expect(page.get_by_role("heading", name="Attic 02")).to_be_visible()
    await is_live(page)
    await expect(page.get_by_role("link", name="Kitchen")).to_have_accessible_name(re.compile("^Kitchen ?, draft$"))
    # Another tab shows it, and gives it up.
    other = await room_of(person)
    await expect(other.locator(".room-link__draft")).to_have_count(0)
    await box(other).fill("")
    await expect(page.locator(".room-link__draft")).to_have_count(0)


async def test_the_lobby_shows_a_new_room_and_news_of_own_rooms_live(meet: Meet, kitchen: Site) -> None:
    person = await meet("ana", kitchen)
    page = await person.context.new_page()
    await page.clock.install()
    await page.goto(f"{kitchen.url}/rooms/")
    lobby = page.locator("chat-lobby")
    await expect(lobby.locator(".row__name")).to_have_text(["Kitchen"])
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await asyncio.to_thread(kitchen.python, GARDEN)
    ben = await room_of(await meet("ben", kitchen))
    await write(ben, "Soup!")
    await expect(lobby.locator(".row", has_text="Kitchen").locator("time")).to_contain_text("Last message now")
    await lobby.get_by_role("link", name="Kitchen").focus()
    await page.clock.fast_forward(31_000)
    await expect(lobby.locator(".row__name")).to_have_text(["Garden", "Kitchen"])
    await expect(lobby.get_by_role("link", name="Kitchen")).to_be_focused()
    await lobby.get_by_role("button", name="Join Garden").click()
    await expect(page.get_by_role("heading", name="Garden")).to_be_visible()
