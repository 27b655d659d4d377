"""The app in somebody else's project.

Its users have UUID keys and no user names. It has no allauth, no admin and no django.contrib.messages, but a second
database. Pages and socket are below a script name. Base template, style sheet, policy and Content Security Policy are
the site's own. tests/host/site contains the five lines of docs/embedding.md.
"""

import asyncio
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.browser.conftest import messages, write
from tests.host.conftest import ROOT, SITE, Shop
from tests.rig.ports import wait_until

# The first test waits for pip.
pytestmark = pytest.mark.timeout(300)
LOOK_AROUND = """
import sys, chat
from django.core.management import call_command
print(chat.__path__[0])
call_command("check", databases=["people"], fail_level="WARNING")
call_command("makemigrations", check_changes=True, dry_run=True)
print("ON THE PATH", *sys.path)
print("LOADED", *sys.modules)
"""


@dataclass
class Customer:
    """A person who visits the shop with a browser."""

    shop: Shop
    email: str
    context: BrowserContext
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> Page:
        page = await self.context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto(self.shop.url + path)
        return page

    async def come_in(self, page: Page) -> None:
        """Sign in on the shop's own page."""
        await page.get_by_label("Email").fill(self.email)
        await page.get_by_label("Password").fill("open sesame")
        await page.get_by_role("button", name="Come in").click()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")


@pytest.fixture
def customers(browser: Browser, shop: Shop) -> Any:
    async def bring(*nicks: str) -> list[Customer]:
        return [Customer(shop, f"{nick}@shop.example", await browser.new_context()) for nick in nicks]

    return bring


def test_the_shop_uses_nothing_of_this_checkout_and_passes_all_checks(shop: Shop) -> None:
    said = shop.run(LOOK_AROUND)
    assert said.startswith(str(shop.folder / "venv"))
    assert "no issues" in said
    assert "No changes" in said
    path, loaded = said.split("ON THE PATH")[1].split("LOADED")
    assert str(ROOT) not in path
    assert not {"allauth", "django.contrib.admin", "django.contrib.messages.apps"} & set(loaded.split())


def test_the_shop_contains_the_documented_lines() -> None:
    page = (ROOT / "docs/embedding.md").read_text()
    lines = re.search(r"<!-- five lines -->(.*?)<!-- /five lines -->", page, re.DOTALL)
    assert lines
    rows = [line for block in re.findall(r"```\w+\n(.*?)```", lines[1], re.DOTALL) for line in block.splitlines()]
    kept = [re.split(r"  \{?#", line)[0].strip() for line in rows if line.strip()]
    assert len(kept) == 5, kept
    site = "\n".join(path.read_text() for path in SITE.rglob("*") if path.suffix in (".py", ".html"))
    flat = " ".join(site.split())
    installed = kept.pop(0)
    for app in re.findall(r'"\w+"', installed):
        assert app in flat
    for line in kept:
        assert line in flat, line


async def test_two_people_talk_on_the_shops_own_page(shop: Shop, customers: Any) -> None:
    room = f"{shop.url}/talk/rooms/{shop.rooms['7']}/"
    ana, ben, eve = await customers("ana", "ben", "eve")

    # A visitor who is not signed in gets to the shop's sign-in page, and back.
    of_ana = await ana.open("/orders/7/")
    await of_ana.get_by_role("link", name="Sign in").click()
    await ana.come_in(of_ana)
    await expect(of_ana).to_have_url(f"{shop.url}/orders/7/")
    of_ben = await ben.open("/door/?next=/intranet/orders/7/")
    await ben.come_in(of_ben)

    # On the order's page, messages arrive live in both directions. Title and focus of the page stay the shop's.
    await is_live(of_ana)
    await is_live(of_ben)
    await expect(of_ana).to_have_title("Order 7")
    assert await of_ana.evaluate("document.activeElement.tagName") == "BODY"
    await write(of_ana, "Where is it?")
    await expect(messages(of_ben)).to_have_text(["Where is it?"])
    await expect(of_ben).to_have_title("Order 7")

    # The chat's own pages are inside the shop's base template.
    await of_ben.goto(room)
    await expect(of_ben.get_by_role("link", name="The shop")).to_be_visible()
    await expect(messages(of_ben)).to_have_text(["Where is it?"])
    await is_live(of_ben)
    await write(of_ben, "It has left the **house**.")
    await expect(messages(of_ana).last).to_have_text("It has left the house.")
    await of_ana.reload()
    await expect(messages(of_ana)).to_have_text(["Where is it?", "It has left the house."])
    await is_live(of_ana)

    # A receiver of the shop has sent mail as well.
    await asyncio.to_thread(wait_until, lambda: len(shop.mails) == 2, "two mails", 10)
    assert "To: ben@shop.example" in shop.mails[0] + shop.mails[1]

    # Eve signs in, but sees no chat.
    of_eve = await eve.open("/door/?next=/intranet/orders/7/")
    await eve.come_in(of_eve)
    await expect(of_eve.get_by_role("heading", name="Order 7")).to_be_visible()
    assert await of_eve.locator(".chat, chat-room, [href*='chat/css']").count() == 0
    answer = await of_eve.request.get(room)
    assert answer.status == 404

    # When ben's access ends in the shop's own model, his open page is cut off and gets no later message.
    await of_ana.get_by_role("button", name="Shut out ben").click()
    await expect(of_ben.locator("[data-part=outside]")).to_contain_text("not in this room")
    await expect(of_ben.get_by_label("Message", exact=True)).to_be_hidden()
    await is_live(of_ana)
    await write(of_ana, "Between us")
    await expect(messages(of_ana).last).to_have_text("Between us")
    await expect(messages(of_ben).get_by_text("Between us")).to_have_count(0)
    assert (await of_ben.request.get(room)).status == 404
    assert [each.complaints for each in (ana, ben, eve)] == [[], [], []]
    assert "Traceback" not in shop.log.read_text()


async def test_the_policy_decides_who_may_read_and_who_may_write(shop: Shop, customers: Any) -> None:
    (reader,) = await customers("reader")
    page = await reader.open("/door/?next=/intranet/orders/8/")
    await reader.come_in(page)
    await is_live(page)
    await expect(page.get_by_label("Message", exact=True)).to_be_hidden()
    await expect(page.get_by_role("button", name="Join this room")).to_be_hidden()
    assert reader.complaints == []


async def test_a_page_may_have_several_rooms(shop: Shop, customers: Any) -> None:
    (cleo,) = await customers("cleo")
    page = await cleo.open("/door/")
    await cleo.come_in(page)
    first, second = page.locator("#order-8"), page.locator("#order-9")
    await expect(page.locator("chat-room")).to_have_count(2)  # and none for order 7
    await is_live(first)
    await is_live(second)
    await write_in(second, "Only here")
    await expect(messages(second)).to_contain_text(["Only here"])
    await expect(messages(first).get_by_text("Only here")).to_have_count(0)
    assert cleo.complaints == []


STYLES = """(selectors) => Object.fromEntries(Object.entries(selectors).map(([name, [selector, ...wanted]]) => {
  const style = getComputedStyle(document.querySelector(selector))
  return [name, wanted.map((each) => style.getPropertyValue(each))]
}))"""
THEIRS = {
    "basket": ["#basket", "background-color", "border-top-width", "text-transform", "float"],
    "menu": [".menu", "background-color", "position"],
    "alert": [".alert", "background-color", "padding-top"],
    "body": ["body", "font-family", "background-color", "color"],
    "title": ["h1", "font-size", "text-transform", "letter-spacing"],
}
OURS = {
    "send": [".chat .composer__send", "border-top-style", "text-transform", "float", "letter-spacing", "padding-top"],
    "text": [".chat textarea", "letter-spacing", "background-color"],
    "composer": [".chat .composer", "border-top-color", "padding-top", "padding-left"],
    "name": [".chat .room__name", "text-transform", "letter-spacing", "color"],
    "words": [".chat .message__body p", "margin-top", "text-indent", "letter-spacing"],
}


async def test_the_shops_styles_and_ours_do_not_affect_each_other(shop: Shop, customers: Any) -> None:
    look, away = await customers("cleo", "eve")
    page = await look.open("/door/?next=/intranet/orders/9/")
    await look.come_in(page)
    await is_live(page)
    await write(page, "Hello")
    await expect(messages(page).last).to_have_text("Hello")
    other = await away.open("/door/?next=/intranet/orders/9/")
    await away.come_in(other)
    await expect(other.get_by_role("heading", name="Order 9")).to_be_visible()
    assert await page.evaluate(STYLES, THEIRS) == await other.evaluate(STYLES, THEIRS), "with the chat and without"

    within = await page.evaluate(STYLES, OURS)
    await page.locator("link[href*='shop.css']").evaluate("link => link.disabled = true")
    assert within == await page.evaluate(STYLES, OURS), "with the shop's style sheet and without"
    assert look.complaints == []


async def test_every_page_of_the_chat_is_inside_the_shops_base_template(shop: Shop, customers: Any) -> None:
    (cleo,) = await customers("cleo")
    page = await cleo.open("/talk/")
    await expect(page).to_have_url(f"{shop.url}/door/?next=/intranet/talk/")
    await cleo.come_in(page)
    for path in ("", "rooms/", "new/", "people/", "settings/tokens/"):
        answer = await page.goto(f"{shop.url}/talk/{path}")
        assert answer is not None
        assert answer.status == 200, path
        await expect(page.get_by_role("link", name="The shop")).to_be_visible()
        await expect(page.locator(".chat > .site")).to_have_count(1)
    assert cleo.complaints == []
    assert "Traceback" not in shop.log.read_text()


async def write_in(part: Locator, body: str) -> None:
    await part.get_by_label("Message", exact=True).fill(body)
    await part.get_by_label("Message", exact=True).press("Enter")


async def is_live(page: Page | Locator) -> None:
    await expect(page.locator("[data-part=banner]")).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false", timeout=30_000)


OLD_DATABASE = """
from uuid import uuid4
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from people.models import Person
using = Person.objects.db
call_command("migrate", verbosity=0, database=using)
call_command("migrate", "chat", "0006", verbosity=0, database=using)
old = MigrationLoader(connections[using]).project_state(("chat", "0006_slugs_of_private_rooms")).apps.get_model
person = Person.objects.create(pk=uuid4())
room = old("chat", "Room").objects.using(using).create(name="Hall", slug="hall", head=2, last_number=1)
message = old("chat", "Message").objects.using(using).create(
    room=room, author_id=person.pk, client_id=uuid4(), body_hash=b"x", number=1, seq=2, changed_seq=2
)
old("chat", "Reaction").objects.using(using).create(message=message, user_id=person.pk, emoji="👍")
call_command("migrate", verbosity=0, database=using)
from chat.models import Message, Reaction
assert Message.objects.get().user_key == Reaction.objects.get().user_key == str(person.pk)
print(Message.objects.get().user_key)
"""


def test_migrating_an_older_database_writes_uuid_keys_as_they_are_on_the_wire(shop: Shop, tmp_path: Path) -> None:
    """SQLite stores a UUID as 32 digits. On the wire, and so in ``user_key``, it has hyphens."""
    other = replace(shop, environment={**shop.environment, "SHOP_HOME": str(tmp_path)})
    assert len(other.run(OLD_DATABASE).split()[-1]) == 36
