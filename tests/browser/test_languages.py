"""A browser that asks for German gets it, from the server and from the scripts."""

import asyncio
import re
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Meet, is_live
from tests.rig.site import Site

MAKE_ROOM = """
from datetime import datetime, timezone
from uuid import uuid4
from django.contrib.auth import get_user_model
from chat import api
from chat.services.importing import PastMessage
ana = get_user_model().objects.get(username="ana")
at = datetime(2024, 3, 5, 14, 7, tzinfo=timezone.utc)
room = api.create_room("Küche", ana, kind="open")
api.import_messages(room, [PastMessage(client_id=uuid4(), author=ana, body="Suppe?", created_at=at)])
"""
ARCHIVE = """
from chat import api
from chat.models import Room
api.archive_room(Room.objects.get())
"""


@pytest.fixture
def kitchen(make_site: Callable[..., Site]) -> Site:
    site = make_site()
    site.python(MAKE_ROOM)
    return site


async def test_a_german_browser_gets_german_from_the_server_and_from_the_scripts(meet: Meet, kitchen: Site) -> None:
    ana = await meet("ana", kitchen, locale="de-DE", timezone_id="UTC")
    page = await ana.open("/rooms/küche/")
    await is_live(page)
    await expect(page.locator("html[lang=de][dir=ltr]")).to_have_count(1)
    box = page.get_by_label("Nachricht", exact=True)
    await expect(box).to_have_attribute("placeholder", "Nachricht schreiben")
    await expect(page.get_by_role("log")).to_contain_text("5. März 2024")
    await expect(page.locator(".message__time time").first).to_have_text("14:07")
    await expect(page.get_by_title("Dienstag, 5. März 2024, 14:07")).to_be_visible()

    kitchen.processes[0].kill()
    await box.fill("Noch jemand?")
    await box.press("Enter")
    await expect(page.locator("[data-part=banner]")).to_contain_text("Die Verbindung ist unterbrochen.")
    await expect(page.locator(".message__state")).to_have_text("Wartet auf die Verbindung")
    await asyncio.to_thread(kitchen.python, ARCHIVE)
    await asyncio.to_thread(kitchen.processes[0].start)
    # The back-off has grown while the server was down.
    await expect(page.get_by_text("Nicht gesendet: Dieser Raum ist archiviert")).to_be_visible(timeout=40_000)
    await expect(page.get_by_role("button", name="Noch einmal versuchen")).to_be_visible()

    await ana.context.clear_cookies()
    await page.goto(f"{kitchen.url}/accounts/login/")
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    await expect(page).to_have_title(re.compile("Anmelden"))
    await expect(page.get_by_label("Anmeldename oder E-Mail")).to_be_visible()
