"""Three people, several tabs, and everything that can go wrong between them and the site."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.conftest import Meet, Person, act, is_kept, is_live, messages, write
from tests.rig.proxy import Proxy
from tests.rig.site import Site

FILL = """
from datetime import timedelta
from uuid import uuid4
from django.contrib.auth import get_user_model
from django.utils import timezone
from chat import api
from chat.services.importing import PastMessage
names = ("ana", "ben", "cleo", "dan")
ana, ben, cleo, dan = (get_user_model().objects.get(username=name) for name in names)
for name in ("Cut", "Reset", "Killed", "Closing", "Tabs", "Elsewhere", "Signed", "Unread", "Offline"):
    api.create_room(name, ana, kind="open", members=[ben, cleo])
private = api.create_room("Away", ana, kind="private", members=[ben, cleo])
api.post(private, ana, "Not for everybody")
from chat.models import Room
start = timezone.now() - timedelta(days=1)
api.import_messages(Room.objects.get(slug="killed"), [
    PastMessage(client_id=uuid4(), author=ben if number % 2 else ana, body=f"message {number}",
                created_at=start + timedelta(seconds=number))
    for number in range(1, 301)
])
print(private.pk)
"""


@pytest.fixture(scope="module")
def private(module_site: Site) -> str:
    """The id of the private room that the site is filled with, because nobody can know its slug."""
    return module_site.python(FILL).strip()


@pytest.fixture(scope="module")
def filled(module_site: Site, private: str) -> Site:
    return module_site


@pytest.fixture
def site(filled: Site, house: Site) -> Site:
    """The site with a room of ana, ben and cleo for each test."""
    return house


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    """A network to the site that can fail."""
    with Proxy(site.processes[0].port) as proxy:
        yield proxy


def through(proxy: Proxy, room: str) -> str:
    return f"http://127.0.0.1:{proxy.port}/rooms/{room}/"


class Network:
    """The network of one page. The other pages of its context keep theirs."""

    def __init__(self, page: Page):
        self._page = page
        self._is_there = True
        self._routes: list[WebSocketRoute] = []

    async def connect(self) -> None:
        """Call this before the page opens."""
        await self._page.route_web_socket("**/ws/chat/", self._opened)
        self._session = await self._page.context.new_cdp_session(self._page)
        await self._session.send("Network.enable")

    async def lose(self) -> None:
        self._is_there = False
        await self._emulate()
        for route in self._routes:
            await route.close()

    async def find(self) -> None:
        self._is_there = True
        await self._emulate()

    async def _opened(self, route: WebSocketRoute) -> None:
        if self._is_there:
            route.connect_to_server()
            self._routes.append(route)
        else:
            await route.close()

    async def _emulate(self) -> None:
        """Tell the page that it is on- or offline. Open sockets are not affected."""
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        await self._session.send("Network.emulateNetworkConditions", {"offline": not self._is_there, **speed})


async def open_live(person: Person, address: str) -> Page:
    page = await person.open(address)
    await is_live(page)
    return page


def banner(page: Page) -> Any:
    return page.locator("[data-part=banner]")


async def is_lost(page: Page) -> None:
    await expect(banner(page)).to_contain_text("The connection is lost")


async def find_network(page: Page) -> None:
    """Let the device report a network. Reconnecting without this report is tested elsewhere."""
    while await banner(page).get_attribute("data-state") != "live":
        await page.evaluate("dispatchEvent(new Event('online'))")
        await asyncio.sleep(0.1)


async def comes_back(page: Page) -> None:
    await find_network(page)
    await is_live(page)


async def all_sent(*pages: Page) -> None:
    for page in pages:
        await expect(page.locator(".message__state")).to_have_count(0, timeout=20_000)


# The contents of the room, with reactions, edited marks and notices. The unread line is left out: it is different for
# each person.
SHOWN = """() => [...document.querySelectorAll(".message, .notice-line, .day")].map(each => {
  const parts = each.querySelectorAll(".message__author, .message__quote, .message__gone, .message__body, .reaction")
  return [each.dataset.number, ...[...(parts.length ? parts : [each])].map(part => part.textContent.trim())].join(" | ")
})"""


async def show_the_same(*pages: Page) -> list[str]:
    """Wait until all pages show the same, check that they still do after a reload, and return it."""
    texts: list[list[str]] = []
    for _ in range(200):
        texts = [await page.evaluate(SHOWN) for page in pages]
        if all(text == texts[0] for text in texts):
            break
        await asyncio.sleep(0.05)
    assert all(text == texts[0] for text in texts), "\n".join(map(str, texts))
    anew = await asyncio.gather(*(loaded_anew(page) for page in pages))
    assert all(text == texts[0] for text in anew), "\n".join(map(str, [texts[0], *anew]))
    return texts[0]


async def loaded_anew(page: Page) -> list[str]:
    await page.reload()
    await is_live(page)
    shown: list[str] = await page.evaluate(SHOWN)
    return shown


async def test_everything_that_others_did_during_a_disconnection_shows_afterwards(
    meet: Meet, site: Site, proxy: Proxy
) -> None:
    ana, ben, cleo, dan = [await meet(name, site) for name in ("ana", "ben", "cleo", "dan")]
    in_anas, in_bens = [await open_live(person, "/rooms/cut/") for person in (ana, ben)]
    in_cleos = await open_live(cleo, through(proxy, "cut"))
    await write(in_anas, "Soop", "Nonsense", "Bread?")
    await act(in_bens, "Bread?", "React with 👍")
    for page in (in_anas, in_bens, in_cleos):
        await expect(messages(page)).to_have_count(3)
        await expect(page.get_by_role("button", name="👍, 1")).to_be_visible()

    proxy.refuse()
    await write(in_cleos, "From the dark", "and another one")
    await expect(in_cleos.get_by_text("Waiting for the connection")).to_have_count(2)
    await act(in_anas, "Soop", "Edit")
    await write(in_anas, "Soup")
    await act(in_anas, "Nonsense", "Delete")
    await in_anas.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await act(in_anas, "Bread?", "React with 👍")
    await act(in_bens, "Bread?", "React with 🎉")
    await in_bens.get_by_role("button", name="👍, 2").click()
    in_dans = await dan.open("/rooms/cut/")
    await in_dans.get_by_role("button", name="Join this room").click()
    await is_live(in_dans)
    await write(in_dans, "Hello")
    await act(in_bens, "Bread?", "Reply")
    await write(in_bens, "Yes, please")
    await expect(in_bens.locator(".message", has_text="Bread?").get_by_role("button", name="👍, 1")).to_be_visible()
    # Actions that can't wait for a connection say so.
    await in_cleos.get_by_role("button", name="👍, 1").click()
    await expect(in_cleos.get_by_text("There is no connection right now.")).to_be_visible()
    await is_lost(in_cleos)
    proxy.accept()
    await comes_back(in_cleos)

    await all_sent(in_anas, in_bens, in_cleos, in_dans)
    for page in (in_anas, in_bens, in_cleos, in_dans):
        await expect(page.locator("[data-part=people]")).to_have_text("People: 4")
    shown = await show_the_same(in_anas, in_bens, in_cleos, in_dans)
    whole = "\n".join(shown)
    for part in ("Soup(edited)", "This message was deleted.", "👍1", "🎉1", "dan joined", "ana: Bread?"):
        assert part in whole.replace(" (edited)", "(edited)"), part
    assert [whole.count(part) for part in ("From the dark", "and another one", "Hello", "Nonsense")] == [1, 1, 1, 0]


async def test_with_connections_that_break_while_three_people_write_nothing_is_missing_or_doubled(
    meet: Meet, site: Site, proxy: Proxy
) -> None:
    names = ("ana", "ben", "cleo")
    pages = [await open_live(await meet(name, site), through(proxy, "reset")) for name in names]
    for number in range(4):
        for name, page in zip(names, pages, strict=True):
            await write(page, f"{name} {number}, one", f"{name} {number}, two")
            proxy.cut()
    await asyncio.gather(*(comes_back(page) for page in pages))
    await all_sent(*pages)
    for page in pages:
        await expect(messages(page)).to_have_count(24, timeout=10_000)
    await show_the_same(*pages)
    texts = await messages(pages[0]).all_inner_texts()
    for name in names:
        wanted = [f"{name} {number}, {which}" for number in range(4) for which in ("one", "two")]
        assert [text for text in texts if text.startswith(name)] == wanted


NUMBERS = "() => [...document.querySelectorAll('[data-number]')].map(each => Number(each.dataset.number))"


async def test_a_window_on_the_past_stays_where_it_is_when_the_server_is_killed(meet: Meet, site: Site) -> None:
    ana, ben, cleo = [await meet(name, site) for name in ("ana", "ben", "cleo")]
    past = await open_live(ana, "/rooms/killed/100/")
    in_bens, in_cleos = [await open_live(person, "/rooms/killed/") for person in (ben, cleo)]
    await expect(past.locator("[data-number='100']")).to_be_in_viewport(ratio=1)
    assert await past.locator("[data-number='300']").count() == 0, "the window reaches the newest messages"
    await write(in_cleos, "before")
    await expect(messages(in_bens).last).to_have_text("before")

    await asyncio.to_thread(site.processes[0].kill)
    await write(in_bens, "meanwhile")
    await write(past, "from the past")
    for page in (past, in_bens, in_cleos):
        await is_lost(page)
    await asyncio.to_thread(site.processes[0].start)
    await asyncio.gather(*(comes_back(page) for page in (past, in_bens, in_cleos)))
    await all_sent(past, in_bens)

    # Sent, each on its own screen; the other's comes to ben's a moment later.
    for said in ("from the past", "meanwhile"):
        await expect(messages(in_bens).filter(has_text=said)).to_have_count(1)
    # She has written, so she was taken to the newest messages. Back in the past she only reads on.
    texts = await messages(in_bens).all_inner_texts()
    assert sorted(texts[-3:]) == ["before", "from the past", "meanwhile"]
    await past.goto(f"{site.url}/rooms/killed/100/")
    await is_live(past)
    await expect(past.locator("[data-number='100']")).to_be_in_viewport(ratio=1)
    await asyncio.to_thread(site.processes[0].restart)
    await write(in_cleos, "once more")
    edit = await ben.open("/rooms/killed/101/")
    await is_live(edit)
    await edit.locator("[data-number='101']").focus()
    await edit.keyboard.press("e")
    await expect(edit.get_by_text("Editing your message")).to_be_visible()
    await write(edit, "edited after it")
    await asyncio.gather(*(comes_back(page) for page in (past, in_cleos)))
    await expect(past.locator("[data-number='101'] .message__body")).to_contain_text("edited after it")
    await expect(past.locator("[data-number='100']")).to_be_in_viewport(ratio=1)
    newest = past.get_by_role("button", name=re.compile(r"Newest messages: \d"))
    await expect(newest).to_be_visible()
    numbers = await past.evaluate(NUMBERS)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[-1] < 300
    await newest.click()
    await expect(messages(past).last).to_have_text("once more")
    await expect(messages(past).last).to_be_in_viewport(ratio=1)
    numbers = await past.evaluate(NUMBERS)
    assert numbers == list(range(numbers[0], 305))


async def test_a_message_that_is_refused_for_good_says_why_and_delays_no_other_room(
    meet: Meet, site: Site, proxy: Proxy, private: str
) -> None:
    ben, ana = await meet("ben", site), await meet("ana", site)
    closing, away, elsewhere = [
        await open_live(ben, through(proxy, room)) for room in ("closing", private, "elsewhere")
    ]
    await expect(messages(away)).to_have_text(["Not for everybody"])
    settings = await ana.open("/rooms/closing/settings/")
    proxy.refuse()
    await write(closing, "too late", "much too late")
    await write(away, "to nobody")
    await write(elsewhere, "in time")
    for page, count in ((closing, 2), (away, 1), (elsewhere, 1)):
        await expect(page.get_by_text("Waiting for the connection")).to_have_count(count)
    await settings.get_by_role("link", name="Archive this room").click()
    await settings.get_by_role("button", name="Archive").click()
    await expect(settings.get_by_role("button", name="Reopen this room")).to_be_visible()
    await settings.goto(f"{site.url}/rooms/{private}/settings/")
    await settings.get_by_role("link", name="Remove ben").click()
    await settings.get_by_role("button", name="Remove").click()
    await expect(settings.get_by_text("Removed from the room.")).to_be_visible()
    await is_lost(closing)
    proxy.accept()
    for page in (closing, elsewhere, away):
        await find_network(page)
    await is_live(closing)
    await all_sent(elsewhere)
    reader = await ana.open("/rooms/elsewhere/")
    await expect(messages(reader)).to_have_text(["in time"])

    # He was removed while he was not connected: only his own message is left, with the reason why it was not sent.
    await expect(away.get_by_text("You are not in this room any more.")).to_be_visible()
    await expect(away.get_by_text("Not sent: There is no such room, or you may not see it.")).to_be_visible()
    await expect(messages(away)).to_have_text(["to nobody"])
    await expect(elsewhere.locator(".room-link__name").get_by_text("Away")).to_have_count(0)

    # A message discarded in one tab disappears from the other, and does not come back.
    again = await open_live(ben, through(proxy, "closing"))
    for page in (closing, again):
        await expect(page.get_by_text("Not sent: This room is archived")).to_have_count(2)
    for left in (1, 0):
        await closing.locator(".message").get_by_role("button", name="Discard").first.click()
        for page in (closing, again):
            await expect(page.locator(".message")).to_have_count(left)
    await again.reload()
    await is_live(again)
    await expect(again.locator(".message")).to_have_count(0)

    # A message whose room is not listed any more is within reach on every page, also after the room's own is closed.
    await away.close()
    stray = again.get_by_role("status").filter(has_text="Unsent messages")
    await expect(stray.locator(".stray__text")).to_have_text("to nobody")
    await expect(stray).to_contain_text("Not sent: There is no such room, or you may not see it.")
    await stray.get_by_role("button", name="Try again").click()
    await expect(stray.get_by_role("button", name="Try again")).to_be_visible()
    await stray.get_by_role("button", name="Discard").click()
    for page in (again, elsewhere):
        await expect(page.locator(".stray")).to_have_count(0)


async def test_a_room_with_unsent_messages_has_a_mark_in_the_list(meet: Meet, site: Site, proxy: Proxy) -> None:
    ben = await meet("ben", site)
    page = await open_live(ben, through(proxy, "elsewhere"))
    other = await open_live(ben, through(proxy, "tabs"))
    proxy.refuse()
    await is_lost(page)
    await write(page, "for later")
    for each in (page, other):
        link = each.get_by_role("link", name=re.compile("^Elsewhere"))
        await expect(link).to_have_accessible_name(re.compile("^Elsewhere ?, not sent$"))
    proxy.accept()
    await find_network(page)
    for each in (page, other):
        await expect(each.locator(".room-link__unsent")).to_have_count(0)


async def test_a_form_that_is_sent_without_a_connection_stays_with_what_was_written_in_it(
    meet: Meet, site: Site, proxy: Proxy
) -> None:
    ben = await meet("ben", site)
    page = await ben.open(f"http://127.0.0.1:{proxy.port}/new/")
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live")
    name = page.get_by_label("Name", exact=True)
    await name.fill("Written on a train")
    await ben.context.set_offline(True)
    proxy.refuse()
    await page.get_by_role("button", name="Create", exact=True).click()
    await expect(page.locator(".toast")).to_contain_text("What you have written stays here")
    await expect(name).to_have_value("Written on a train")
    await ben.context.set_offline(False)
    ben.complaints.clear()  # of the network that was gone
    proxy.accept()
    await page.get_by_role("button", name="Create", exact=True).click()
    await is_live(page)
    await expect(page).to_have_title(re.compile("Written on a train"))


async def test_a_page_whose_scripts_did_not_come_says_so_and_offers_to_load_it_again(meet: Meet, site: Site) -> None:
    """One module of fifty is enough: the page looks well and does nothing."""
    ben = await meet("ben", site)
    await ben.context.route("**/js/timeline-rows.*", lambda route: route.abort())
    page = await ben.open("/rooms/elsewhere/")
    notice = page.get_by_text("This page has not started")
    await expect(notice).to_be_hidden()
    await page.wait_for_function(
        "document.getAnimations().some((each) => each.animationName === 'chat-not-started' && !each.finish())"
    )
    await expect(notice).to_be_visible()
    await ben.context.unroute("**/js/timeline-rows.*")
    ben.complaints.clear()
    await page.get_by_role("link", name="Reload").click()
    await is_live(page)
    await expect(notice).to_have_count(0)


async def test_tabs_share_drafts_and_unsent_messages_and_an_offline_tab_delays_nothing(
    meet: Meet, site: Site, private: str
) -> None:
    ana, ben = await meet("ana", site), await meet("ben", site)
    network = Network(one := await ana.context.new_page())
    await network.connect()
    await one.goto(f"{site.url}/rooms/tabs/")
    await is_live(one)
    same, other = [await open_live(ana, f"/rooms/{room}/") for room in ("tabs", private)]
    in_bens = await open_live(ben, "/rooms/tabs/")
    await one.get_by_label("Message", exact=True).fill("Begun in one")
    await expect(same.get_by_label("Message", exact=True)).to_have_value("Begun in one")
    await expect(other.get_by_label("Message", exact=True)).to_have_value("")
    await other.get_by_label("Message", exact=True).fill("Another room's")
    await same.get_by_label("Message", exact=True).press("Enter")
    await expect(one.get_by_label("Message", exact=True)).to_have_value("")
    await expect(other.get_by_label("Message", exact=True)).to_have_value("Another room's")
    for page in (one, same, in_bens):
        await expect(messages(page)).to_have_text(["Begun in one"])

    # The first tab, which sends for all, loses its network. What is written in it is sent by the others.
    await network.lose()
    await expect(banner(one)).to_contain_text("You are offline. You can go on writing")
    await write(one, "Written offline")
    await write(same, "Written beside it")
    for page in (same, in_bens):
        await expect(messages(page)).to_have_text(
            ["Begun in one", "Written offline", "Written beside it"], timeout=10_000
        )
    await all_sent(same)
    await network.find()
    await is_live(one)
    await all_sent(one)
    await show_the_same(one, same, in_bens)


# Reads of the browser's store fail while the page sets ``isUnreadable``. Writes succeed.
UNREADABLE = """(() => {
  const { getAll } = IDBIndex.prototype
  IDBIndex.prototype.getAll = function (...given) {
    if (window.isUnreadable) throw new DOMException("disk", "UnknownError")
    return getAll.apply(this, given)
  }
})()"""


async def test_unsent_messages_stay_visible_and_are_sent_once_even_if_the_store_cannot_be_read(
    meet: Meet, site: Site, proxy: Proxy
) -> None:
    ana, ben = await meet("ana", site), await meet("ben", site)
    await ana.context.add_init_script(UNREADABLE)
    page = await open_live(ana, through(proxy, "unread"))
    in_bens = await open_live(ben, "/rooms/unread/")
    proxy.refuse()
    await write(page, "one", "two")
    await expect(page.get_by_text("Waiting for the connection")).to_have_count(2)
    await page.evaluate("window.isUnreadable = true")
    await write(page, "three")
    await expect(messages(page)).to_have_text(["one", "two", "three"])
    proxy.accept()
    await comes_back(page)
    await expect(messages(in_bens)).to_have_text(["one", "two", "three"])
    await all_sent(page)

    # A page that could not read the store from the start: the message is sent once it can be read, before later ones.
    proxy.refuse()
    await write(page, "four")
    await expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    await is_kept(page, "four")
    await page.close()
    proxy.accept()
    await ana.context.add_init_script("window.isUnreadable = true")
    page = await open_live(ana, through(proxy, "unread"))
    await write(page, "five")
    await expect(messages(page).last).to_have_text("five")
    await expect(messages(in_bens)).to_have_text(["one", "two", "three"])
    await page.evaluate("window.isUnreadable = false")
    await expect(messages(in_bens)).to_have_text(["one", "two", "three", "four", "five"], timeout=40_000)
    await all_sent(page)
    await show_the_same(page, in_bens)


async def test_a_page_without_network_says_so_within_a_second_and_reconnects_as_soon_as_there_is_one(
    meet: Meet, site: Site, proxy: Proxy
) -> None:
    ana = await meet("ana", site)
    room, home = await open_live(ana, through(proxy, "offline")), await ana.open(f"http://127.0.0.1:{proxy.port}/")
    await expect(banner(home)).to_have_attribute("data-state", "live")
    # The connections are not closed: they are silent from now on.
    proxy.swallow_answers()
    await ana.context.set_offline(True)
    for page in (room, home):
        await expect(banner(page)).to_contain_text("You are offline. You can go on writing", timeout=1_000)
    await write(room, "Written offline")
    await ana.context.set_offline(False)
    for page in (room, home):
        await expect(banner(page)).to_be_hidden()
    await expect(messages(room)).to_have_text(["Written offline"])
    await expect(room.locator("[data-number]")).to_have_count(1, timeout=15_000)
    await all_sent(room)


# This is the last test of the file, because ana has no session afterwards.
async def test_signing_out_in_one_tab_is_told_in_the_others_and_unsent_messages_leave_after_signing_in(
    meet: Meet, site: Site
) -> None:
    ana, ben = await meet("ana", site), await meet("ben", site)
    page, other = await open_live(ana, "/rooms/signed/"), await ana.open("/")
    in_bens = await open_live(ben, "/rooms/signed/")
    await write(page, "before")
    await expect(messages(in_bens)).to_have_text(["before"])
    await other.locator(".account__summary").click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(banner(page)).to_contain_text("What you have written stays in this browser.")
    await write(page, "after it")
    await expect(page.get_by_text("Waiting for the connection")).to_be_visible()
    # Somebody else signs in meanwhile, and must not send ana's message.
    await sign_in(other, "cleo")
    await other.goto(f"{site.url}/rooms/signed/")
    await is_live(other)
    await write(other, "cleo was here")
    await expect(messages(in_bens)).to_have_text(["before", "cleo was here"])
    await expect(other.get_by_text("after it")).to_have_count(0)
    await other.locator(".account__summary").click()
    await other.get_by_role("button", name="Sign out").click()
    await expect(other.get_by_role("button", name="Sign in")).to_be_visible()

    await page.get_by_role("button", name="Sign in again").click()
    await sign_in(page, "ana")
    await expect(page.get_by_role("heading", level=1, name="Signed")).to_be_visible()
    await is_live(page)
    for each in (page, in_bens):
        await expect(messages(each)).to_have_text(["before", "cleo was here", "after it"])
    await all_sent(page)
    await show_the_same(page, in_bens)


async def sign_in(page: Page, name: str) -> None:
    await page.locator("#main [name=login]").fill(name)
    await page.locator("#main [name=password]").fill("password")
    await page.locator("#main .button--primary").click()
