"""Unusual conditions in the browser: storage is forbidden, the server refuses, the page is hidden while others
write."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Meet, hold_scripts, is_live, messages, write
from tests.end_to_end.talk import Talk, talk_as
from tests.rig.four import BACKENDS, Backend
from tests.rig.site import Site

LONG = """
from uuid import uuid4
from django.contrib.auth import get_user_model
from chat.access.policy import SITE
from chat.services import memberships, messages, read_pointers, rooms
people = {each.username: each for each in get_user_model().objects.filter(username__in=("ana", "ben"))}
made = rooms.create(by=people["ana"], name="Edges", kind="open")
memberships.add(by=SITE, room_id=made.pk, user_id=str(people["ben"].pk))
for number in range(1, 201):
    messages.post(by=people["ben"], room_id=made.pk, client_id=uuid4(), body=f"message {number}")
read_pointers.move(by=people["ana"], room_id=made.pk, number=200)
"""

NOTHING_IS_KEPT = """
const refuse = () => { throw new DOMException("denied", "SecurityError") }
Object.defineProperty(window, "localStorage", { get: refuse })
Object.defineProperty(window, "indexedDB", { get: refuse })
const denied = () => Promise.reject(new DOMException("denied", "SecurityError"))
if (globalThis.LockManager) LockManager.prototype.request = denied
globalThis.BroadcastChannel = class { constructor() { refuse() } }
"""

# What the browser does when another tab covers this one. A test can't cause it for real.
HIDE = """isHidden => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true })
  Object.defineProperty(document, "visibilityState", { value: isHidden ? "hidden" : "visible", configurable: true })
  document.dispatchEvent(new Event("visibilitychange"))
}"""


@pytest.fixture(scope="module")
def edges(shared_sites: Callable[[Backend], Site]) -> Iterator[Site]:
    """The shared site with the room "Edges". It is deleted at the end, because the titles of other tests' pages would
    count its unread messages."""
    site = shared_sites(BACKENDS[0])
    site.python(LONG)
    yield site
    site.python("from chat import api; from chat.models import Room; api.delete_room(Room.objects.get(slug='edges'))")


async def refuse_history(page: Page) -> list[dict[str, Any]]:
    """Answer requests for older messages with ``server.busy``, and return a list that collects these requests."""
    asked: list[dict[str, Any]] = []
    error = {"code": "server.busy", "message": "Busy.", "retry": True}

    def between(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def sent(frame: str | bytes) -> None:
            command = json.loads(frame)
            if command["type"] == "history":
                asked.append(command)
                socket.send(json.dumps({"type": "reply", "ref": command["ref"], "ok": False, "error": error}))
            else:
                server.send(frame)

        socket.on_message(sent)

    await page.route_web_socket("**/ws/chat/", between)
    return asked


@pytest_asyncio.fixture(loop_scope="session")
async def ben(edges: Site) -> AsyncIterator[Talk]:
    """ben's own connection, without a browser."""
    talk = await talk_as(edges.ws_url, edges.user("ben"))
    yield talk
    await talk.close()


async def post(talk: Talk, *bodies: str) -> list[int]:
    """Post messages in the room of this file and return their numbers."""
    rooms = (await talk.call("room.list", scope="mine"))["rooms"]
    room = next(each["id"] for each in rooms if each["slug"] == "edges")
    posts = [await talk.call("message.post", room=room, client_id=str(uuid4()), body=body) for body in bodies]
    return [each["number"] for each in posts]


async def test_a_refused_request_for_older_messages_shows_an_error_and_new_messages_do_not_repeat_it(
    meet: Meet, edges: Site, ben: Talk
) -> None:
    ana = await meet("ana", edges)
    page = await ana.context.new_page()
    asked = await refuse_history(page)
    await page.goto(f"{edges.url}/rooms/edges/")
    await is_live(page)
    await page.get_by_role("log").evaluate("log => { log.scrollTop = -log.scrollHeight }")
    await expect(page.get_by_text("Older messages could not be loaded")).to_be_visible()
    for count in (1, 2, 3):
        await post(ben, "new")
        await expect(page.locator("[data-part=to-newest]")).to_contain_text(f": {count}")
    assert len(asked) == 1


async def test_a_browser_that_keeps_nothing_still_lets_one_write(meet: Meet, edges: Site) -> None:
    ana = await meet("ana", edges)
    await ana.context.add_init_script(NOTHING_IS_KEPT)
    page = await ana.open("/rooms/edges/")
    await is_live(page)
    await expect(page.get_by_role("alert").first).to_be_visible()
    await write(page, "From a browser that forgets")
    await expect(messages(page).last).to_have_text("From a browser that forgets")
    await expect(page.locator(".message__state")).to_have_count(0)


async def test_a_room_in_a_hidden_part_of_a_page_asks_for_nothing(meet: Meet, edges: Site, ben: Talk) -> None:
    ana = await meet("ana", edges)
    await ana.context.add_init_script(
        "addEventListener('DOMContentLoaded', () => { document.querySelector('chat-room').style.display = 'none' })"
    )
    page = await ana.context.new_page()
    asked = await refuse_history(page)
    await page.goto(f"{edges.url}/rooms/edges/")
    await expect(page.locator("[data-part=banner]").last).to_have_attribute("data-state", "live", timeout=30_000)
    await post(ben, "to a room that is not on the screen")
    await expect(messages(page).last).to_have_text("to a room that is not on the screen")
    assert asked == []


async def test_messages_that_came_while_the_page_was_hidden_are_read_from_the_first_one_on(
    meet: Meet, edges: Site, ben: Talk
) -> None:
    ana = await meet("ana", edges)
    page = await ana.open("/rooms/edges/")
    await is_live(page)
    await page.evaluate(HIDE, True)
    numbers = await post(ben, *(f"while away {each}" for each in range(60)))
    await expect(messages(page).last).to_have_text("while away 59")
    await page.evaluate(HIDE, False)
    await expect(page.locator(".unread-line")).to_be_in_viewport()
    await expect(page.locator(f"[data-number='{numbers[0]}']")).to_be_in_viewport()
    await expect(page.locator(f"[data-number='{numbers[-1]}']")).not_to_be_in_viewport()
    await page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    await expect(page.locator(".room-link--unread", has_text="Edges")).to_have_count(0)


async def test_joining_and_leaving_work_before_the_scripts_have_run(meet: Meet, edges: Site) -> None:
    cleo = await meet("cleo", edges)
    run = await hold_scripts(cleo)
    page = await cleo.open("/rooms/edges/", wait_until="commit")
    await page.get_by_role("button", name="Join this room").click(no_wait_after=True)
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Leave").click(no_wait_after=True)
    await expect(page.get_by_text("You left the room.")).to_be_visible()
    await page.get_by_role("button", name="Join Edges").click(no_wait_after=True)
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    run.set()
    await is_live(page)
    # From now on the page asks first, and stays open meanwhile.
    await page.get_by_role("button", name="Leave").click()
    await page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    await expect(page).to_have_url(f"{edges.url}/")


async def test_a_click_on_join_before_there_is_a_connection_joins_once_there_is_one(meet: Meet, edges: Site) -> None:
    dan = await meet("dan", edges)
    page = await dan.context.new_page()
    connect = asyncio.Event()

    async def hold(socket: WebSocketRoute) -> None:
        await connect.wait()
        socket.connect_to_server()

    await page.route_web_socket("**/ws/chat/", hold)
    await page.goto(f"{edges.url}/rooms/edges/")
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "connecting")
    await page.get_by_role("button", name="Join this room").click()
    await page.evaluate("new Promise(requestAnimationFrame)")
    await expect(page.get_by_role("alert")).to_have_count(0)
    connect.set()
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()
    await is_live(page)
    await write(page, "Here I am")
    await expect(messages(page).last).to_have_text("Here I am")
    await expect(page.locator(".message__state")).to_have_count(0)


async def test_the_account_menu_closes_by_escape_by_a_press_elsewhere_and_when_the_focus_leaves(
    meet: Meet, edges: Site
) -> None:
    page = await (await meet("ana", edges)).open("/rooms/edges/")
    await is_live(page)
    button, menu = page.locator(".account__summary"), page.get_by_role("navigation", name="Your account")

    async def open_menu() -> None:
        await button.click()
        await expect(menu).to_be_visible()

    await open_menu()
    await page.keyboard.press("Tab")
    await expect(menu.get_by_role("link", name="Settings")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(button).to_be_focused()

    # The menu closes although the browser has focused nothing.
    await open_menu()
    await button.blur()
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(button).to_be_focused()

    # A press on the menu's own edge keeps it open. A press elsewhere closes it, also on what can't take the focus.
    await open_menu()
    await menu.click(position={"x": 2, "y": 2})
    await expect(menu).to_be_visible()
    await page.locator(".room__name").click()
    await expect(menu).to_be_hidden()

    # The focus leaves forwards past the last entry, and backwards past the button.
    entries = page.locator(".account__menu :is(a, button)")
    for key, times in (("Tab", await entries.count() + 1), ("Shift+Tab", 1)):
        await open_menu()
        for _ in range(times):
            await page.keyboard.press(key)
        await expect(menu).to_be_hidden()
        await expect(button).not_to_be_focused()

    # The text field keeps its focus and its own Escape.
    await open_menu()
    await page.get_by_label("Message", exact=True).click()
    await expect(menu).to_be_hidden()
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def test_the_account_menu_closes_by_a_tap_elsewhere(meet: Meet, edges: Site) -> None:
    page = await (await meet("ana", edges, has_touch=True, viewport={"width": 390, "height": 844})).open("/")
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live")
    menu = page.get_by_role("navigation", name="Your account")
    await page.locator(".account__summary").tap()
    await expect(menu).to_be_visible()
    await page.get_by_role("heading", name="Direct messages").tap()
    await expect(menu).to_be_hidden()
