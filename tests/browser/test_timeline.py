"""A room's timeline: the server prints it, scripts take it over without a layout shift, and it scrolls both ways."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from chat.web.timeline_rows import excerpt_of
from tests.browser.conftest import Meet, Person, hold_scripts, is_live, is_printed, messages
from tests.end_to_end.talk import Talk, talk_as
from tests.rig.four import BACKENDS, Backend
from tests.rig.site import Site

STORY = """
from uuid import uuid4
from django.contrib.auth import get_user_model
from chat.access.policy import SITE
from chat.models import Membership, Message, Room
from chat.services import memberships, read_pointers, rooms
from chat.services import messages as services
names = ("ana", "ben", "cleo", "dan")
people = {each.username: each for each in get_user_model().objects.filter(username__in=names)}
ana, ben = people["ana"], people["ben"]
room = lambda slug: Room.objects.get(slug=slug).pk
def post(slug, body, author=ben, **more):
    return services.post(by=author, room_id=room(slug), client_id=uuid4(), body=body, **more)
def make(name, count=0, read=None, kind="open"):
    made = rooms.create(by=ana, name=name, kind=kind, topic="Old things")
    memberships.add(by=SITE, room_id=made.pk, user_id=str(ben.pk))
    for number in range(1, count + 1):
        post(made.slug, f"message {number}" + " and more" * (number % 40))
    read_pointers.move(by=ana, room_id=made.pk, number=count if read is None else read)
    return made
long = make("Long", 300)
make("Unread", 120, read=30)
secret = make("Secret", 3, kind="private")
mixed = make("Mixed")
post("mixed", "Soup **today**?", author=ana)
first = post("mixed", "Which one?\\n\\n- leek\\n- pea\\n\\n```python\\nsoup = 1\\n```")
edited = post("mixed", "Leek, I think", reply_to=int(first.id))
services.edit(by=ben, message_id=int(edited.id), body="Leek, I *know*")
gone = post("mixed", "Nonsense")
services.delete(by=ben, message_id=int(gone.id))
from chat.services import reactions
reactions.add(by=ana, message_id=int(first.id), emoji="🎉")
for name in ("cleo", "dan"):
    memberships.join(by=people[name], room_id=room("mixed"))
post("mixed", "مرحبا بالجميع " + "x" * 300)
old = Message.objects.get(room=long, number=20)
post("long", "back to that", reply_to=old.pk)
read_pointers.move(by=ana, room_id=long.pk, number=301)
"""


@pytest.fixture(scope="module")
def story(shared_sites: Callable[[Backend], Site]) -> Site:
    """The shared site with rooms of ana and ben: long, unread, secret, mixed."""
    site = shared_sites(BACKENDS[0])
    site.python(STORY)
    return site


@pytest_asyncio.fixture(loop_scope="session")
async def ben(story: Site) -> AsyncIterator[Talk]:
    """ben at a connection of his own, without a browser."""
    talk = await talk_as(story.ws_url, story.user("ben"))
    yield talk
    await talk.close()


@pytest_asyncio.fixture(loop_scope="session")
async def ana(story: Site) -> AsyncIterator[Talk]:
    """ana on another device."""
    talk = await talk_as(story.ws_url, story.user("ana"))
    yield talk
    await talk.close()


async def room(talk: Talk, name: str) -> dict[str, Any]:
    """The room's state as the person has it now."""
    rooms = (await talk.call("room.list", scope="mine"))["rooms"]
    return next(each for each in rooms if each["name"].lower() == name)


def number(page: Page, number: int) -> Any:
    return page.locator(f"[data-number='{number}']")


def frames_of(person: Person) -> list[dict[str, Any]]:
    """Commands that the person's pages will send."""
    sent: list[dict[str, Any]] = []
    person.context.on(
        "page",
        lambda page: page.on(
            "websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(json.loads(frame)))
        ),
    )
    return sent


# All elements with their attributes, except those that only one side sets and nobody sees: autofocus and tabindex, and
# ``disabled`` on controls that need scripts.
STRUCTURE = """log => [...log.querySelectorAll("*")].map(each => [
  each.tagName, ...[...each.attributes]
    .filter(({ name }) => name !== "autofocus" && name !== "disabled")
    .filter(({ name }) => !(name === "tabindex" && each.matches(".message--target *, .message__body *")))
    .map(each => `${each.name}=${each.name === "class" ? each.value.split(" ").sort().join(" ") : each.value}`).sort(),
  each.children.length ? "" : each.textContent.trim(),
])"""
BOXES = """rows => [...rows.children].map(each => {
  const { x, y, width, height } = each.getBoundingClientRect()
  return [each.dataset.key, x, y, width, height]
})"""
SHIFT = """() => new Promise(done => {
  let sum = 0
  new PerformanceObserver(list => list.getEntries().forEach(({ value }) => { sum += value }))
    .observe({ type: "layout-shift", buffered: true })
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum), 50)))
})"""


@pytest.mark.parametrize("path", ["mixed", "long/150"])
async def test_server_printed_messages_are_adopted_without_a_request_or_a_shift(
    meet: Meet, story: Site, path: str
) -> None:
    ana = await meet("ana", story)
    sent = frames_of(ana)
    scripts = await hold_scripts(ana)
    page = await ana.open(f"/rooms/{path}/", wait_until="commit")
    rows = page.locator(".timeline__rows")
    await is_printed(page)
    await expect(page.locator(".message").last).to_be_attached()
    printed = await looks(page)
    scripts.set()
    await is_live(page)
    await expect(page.locator(".timeline[aria-busy=false]")).to_be_visible()
    assert len(printed["structure"]) > 40, "the server prints messages"
    drawn = await looks(page)
    assert [pair for pair in zip(printed["structure"], drawn["structure"], strict=True) if pair[0] != pair[1]] == []
    assert drawn["boxes"] == printed["boxes"]
    assert await page.evaluate(SHIFT) <= 0.01
    assert await rows.locator("[autofocus]").count() == 0, "the scripts have drawn the lines anew"
    assert [each["type"] for each in sent if each["type"] not in ("received", "read", "ping")] == ["sync"]


async def looks(page: Page) -> dict[str, Any]:
    """The elements, and their positions."""
    rows = page.locator(".timeline__rows")
    return {"structure": await rows.evaluate(STRUCTURE), "boxes": await rows.evaluate(BOXES)}


async def test_a_page_that_is_older_than_the_room_catches_up(meet: Meet, story: Site, ben: Talk, ana: Talk) -> None:
    person = await meet("ana", story)
    scripts = await hold_scripts(person)
    page = await person.open("/rooms/mixed/", wait_until="commit")
    await expect(messages(page)).to_have_count(4)
    mixed = (await room(ana, "mixed"))["id"]
    first = (await ana.call("history", room=mixed, around=1))["messages"][0]
    await ben.post(mixed, "since then")
    await ana.call("message.edit", message=first["id"], body="Soup tomorrow?")
    scripts.set()
    await expect(messages(page).last).to_have_text("since then")
    await expect(messages(page).first).to_contain_text("Soup tomorrow?(edited)")


IN_PLACE = "number => document.querySelector(`[data-number='${number}']`).getBoundingClientRect().top"
IN_VIEW = """each =>
  each.getBoundingClientRect().bottom > document.querySelector("[role=log]").getBoundingClientRect().top"""


async def test_a_permalink_opens_the_past_and_both_ways_lead_on_from_there(meet: Meet, story: Site, ben: Talk) -> None:
    page = await (await meet("ana", story)).open("/rooms/long/150/")
    await is_live(page)
    await expect(number(page, 150)).to_be_focused()
    await expect(number(page, 150)).to_be_in_viewport(ratio=1)
    assert await page.locator(".message--target").evaluate_all("all => all.map(each => each.dataset.number)") == ["150"]
    assert await number(page, 301).count() == 0
    log = page.get_by_role("log")
    for to_the_end, beyond in (("-log.scrollHeight", -1), ("0", 1)):
        for _ in range(2):
            at = await log.evaluate(
                f"""(log, beyond) => {{
                  log.scrollTop = {to_the_end} - beyond * 40
                  const all = [...document.querySelectorAll("[data-number]")]
                  const seen = all.find(each => each.getBoundingClientRect().bottom > log.getBoundingClientRect().top)
                  const end = beyond < 0 ? all[0] : all.at(-1)
                  const {{ top }} = seen.getBoundingClientRect()
                  return {{ seen: seen.dataset.number, top, end: Number(end.dataset.number) }}
                }}""",
                beyond,
            )
            await expect(number(page, at["end"] + beyond)).to_be_attached()
            moved = await page.evaluate(IN_PLACE, at["seen"]) - at["top"]
            assert abs(moved) <= 2, "the text under the eyes has moved"
    for _ in range(200):
        await log.evaluate("log => { log.scrollTop = -log.scrollHeight }")
        if await number(page, 1).count():
            break
        await page.wait_for_timeout(50)
    await expect(page.get_by_text("This is where the conversation begins.")).to_be_visible()
    async with asyncio.timeout(20):
        # What the last page brought keeps the text under the eyes in its place, so it takes one more step.
        while not await number(page, 1).evaluate(IN_VIEW):
            await log.evaluate("log => { log.scrollTop = -log.scrollHeight }")

    await ben.post((await room(ben, "long"))["id"], "something new")
    await page.get_by_role("button", name="Newest messages: 1").click()
    await expect(messages(page).last).to_have_text("something new")
    await expect(messages(page).last).to_be_in_viewport(ratio=1)
    await expect(page.get_by_role("button", name="Newest messages")).to_be_hidden()

    # Following a quote to a message that is not loaded works the same way.
    await number(page, 301).locator(".message__quote").click()
    await expect(number(page, 20)).to_be_focused()
    await expect(number(page, 20)).to_be_in_viewport(ratio=1)
    await page.keyboard.press("r")
    await expect(page.get_by_text("Replying to ben")).to_be_visible()


async def test_reading_starts_at_the_first_unread_message_and_the_pointer_follows_what_was_seen(
    meet: Meet, story: Site, ben: Talk, ana: Talk
) -> None:
    page = await (await meet("ana", story)).open("/rooms/unread/")
    await is_live(page)
    line = page.locator(".unread-line")
    await expect(line).to_be_in_viewport(ratio=1)
    assert await line.evaluate("line => line.nextElementSibling.dataset.number") == "31"
    log = page.get_by_role("log")
    await log.evaluate(
        """async (log) => {
          const last = document.querySelector("[data-number='50']")
          const beyond = () => last.getBoundingClientRect().bottom - log.getBoundingClientRect().bottom
          // What lies between is on the screen, too.
          while (beyond() > 1) {
            log.scrollTop += Math.min(beyond(), log.clientHeight / 2)
            await new Promise(requestAnimationFrame)
          }
        }"""
    )
    await read_to(ana, 50)
    await log.evaluate("log => { log.scrollTop -= 400 }")

    message = number(page, 48)
    await message.hover()
    await message.get_by_label("Message actions").click()
    await page.get_by_role("dialog").get_by_role("button", name="Mark unread from here").click()
    await expect(page.get_by_role("button", name="Newest messages: 73")).to_be_visible()
    assert await line.evaluate("line => line.nextElementSibling.dataset.number") == "48"
    # The message is on the screen, and a new message draws it again: it is still unread.
    await ben.post((await room(ben, "unread"))["id"], "one more")
    await expect(page.get_by_role("button", name="Newest messages: 74")).to_be_visible()
    assert (await room(ana, "unread"))["read"] == 47
    await message.hover()
    await page.mouse.wheel(0, 30)
    await expect(page.get_by_role("button", name="Newest messages: 74")).to_be_hidden()
    await read_to(ana, *range(48, 122))


async def read_to(ana: Talk, *wanted: int) -> None:
    """Wait until her stored read pointer is at one of ``wanted``. It must not be past them."""
    async with asyncio.timeout(10):
        while (read := (await room(ana, "unread"))["read"]) not in wanted:
            assert read <= max(wanted), "the pointer went past what was seen"
            await asyncio.sleep(0.05)


async def test_the_keyboard_makes_one_stop_at_the_messages_and_knows_the_way_there_and_back(
    meet: Meet, story: Site
) -> None:
    page = await (await meet("ana", story)).open("/rooms/mixed/")
    await is_live(page)
    press = page.keyboard.press
    box, log, all_messages = page.get_by_label("Message", exact=True), page.get_by_role("log"), page.locator(".message")
    await log.focus()
    await press("Tab")
    await expect(box).to_be_focused()
    await press("Alt+ArrowUp")
    await expect(all_messages.last).to_be_focused()
    await press("Home")
    await expect(all_messages.first).to_be_focused()
    await press("ArrowDown")
    await press("ArrowDown")
    # The keyboard reaches the controls inside a message from there.
    for part in (".message__time", ".message__quote", ".message__menu"):
        await press("Tab")
        await expect(all_messages.nth(2).locator(part)).to_be_focused()
    await press("Tab")
    await expect(log.locator(":focus")).to_have_count(0)
    await log.focus()
    await press("End")
    await expect(all_messages.last).to_be_focused()
    await press("Escape")
    await expect(box).to_be_focused()
    await expect(page.locator(".day").last).to_have_text(re.compile("^(Today|Yesterday)$"))  # midnight may pass
    await expect(page.locator(".message__quote bdi")).to_have_text(["ben", "Which one? leek pea soup = 1"])


async def test_joins_and_removals_show_between_the_messages(meet: Meet, story: Site, ana: Talk) -> None:
    page = await (await meet("ana", story)).open("/rooms/mixed/")
    await is_live(page)
    notices = page.locator(".notice-line")
    await expect(notices).to_have_text(["ana and ben joined", "cleo and dan joined"])
    await ana.call("member.remove", room=(await room(ana, "mixed"))["id"], user=story.user("dan").id)
    await expect(notices).to_have_text(["ana and ben joined", "cleo and dan joined", "dan removed by ana"])
    await page.reload()
    await is_live(page)
    await expect(notices).to_have_text(["ana and ben joined", "cleo and dan joined", "dan removed by ana"])


async def test_a_quote_shows_author_and_text_of_a_message_on_another_page(meet: Meet, story: Site, ben: Talk) -> None:
    ana = await meet("ana", story)
    sent, scripts = frames_of(ana), await hold_scripts(ana)
    page = await ana.open("/rooms/long/", wait_until="commit")
    quotes = page.locator(".message__quote")
    words = "ben: " + excerpt_of("message 20" + " and more" * 20)
    await expect(quotes).to_have_text([words])
    scripts.set()
    await is_live(page)
    await expect(quotes).to_have_text([words])

    # A live reply: the message that it quotes is requested once, and later changes of that message show.
    long = (await room(ben, "long"))["id"]
    quoted = (await ben.call("history", room=long, around=30, limit=1))["messages"][0]
    for _ in range(2):
        await ben.post(long, "and to that", reply_to=quoted["id"])
    await expect(quotes.nth(1)).to_contain_text("ben: message 30 and more")
    await ben.call("message.edit", message=quoted["id"], body="Something *else*")
    await expect(quotes.nth(2)).to_have_text("ben: Something else")
    await ben.call("message.delete", message=quoted["id"])
    await expect(quotes.nth(1)).to_have_text("ben: Message deleted")
    assert [each.get("around") for each in sent if each["type"] == "history"] == [30]


async def test_nothing_of_a_room_stays_on_the_screen_of_a_removed_member(meet: Meet, story: Site, ana: Talk) -> None:
    secret = (await room(ana, "secret"))["id"]
    page = await (await meet("ben", story)).open(f"/rooms/{secret}/")
    await is_live(page)
    await expect(messages(page)).to_have_count(3)
    await ana.call("member.remove", room=secret, user=story.user("ben").id)
    await expect(messages(page)).to_have_count(0)
    await expect(page.get_by_text("You are not in this room any more.")).to_be_visible()
    assert "message 1" not in await page.content()
