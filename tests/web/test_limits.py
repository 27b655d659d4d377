"""Who asks for pages, or acts by forms, without end is told to wait before anything is done for them."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import Client

from chat.models import Membership, Room
from chat.services import limits

SLOW = {"PAGE_RATE": 0.001, "PAGE_BURST": 3, "CHANGE_RATE": 0.001, "CHANGE_BURST": 2}


@pytest.fixture(autouse=True)
def slow(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, **SLOW}


def test_too_many_pages_are_refused_and_nobody_elses(
    ana: Any, ben: Any, lobby: Room, browser_of: Callable[[Any], Client]
) -> None:
    anas, bens = browser_of(ana), browser_of(ben)
    addresses = ["/", f"/rooms/{lobby.pk}/", "/people/"]
    assert [anas.get(each).status_code for each in addresses] == [200] * 3
    with patch("chat.web.lobby.site_context", side_effect=AssertionError("rendered")):
        refused = anas.get("/")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert bens.get("/").status_code == 200


def test_too_many_acts_are_refused_and_do_nothing(ana: Any, lobby: Room, browser_of: Callable[[Any], Client]) -> None:
    anas, address = browser_of(ana), f"/rooms/{lobby.pk}/settings/"
    for name in ("one", "two"):
        anas.post(address, {"action": "update", "name": name, "topic": ""})
        assert Room.objects.get(pk=lobby.pk).name == name
    third = anas.post(address, {"action": "update", "name": "three", "topic": ""})
    assert third.status_code == 429
    assert Room.objects.get(pk=lobby.pk).name == "two"
    assert anas.get("/").status_code == 200, "pages are counted apart"


def test_a_site_without_a_page_for_it_answers_with_a_line_of_text(
    ana: Any, browser_of: Callable[[Any], Client], settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "PAGE_BURST": 1}
    anas = browser_of(ana)
    anas.get("/people/")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    refused = anas.get("/people/")
    assert (refused.status_code, refused["Content-Type"]) == (429, "text/plain; charset=utf-8")
    assert "too fast" in refused.content.decode()


def test_a_new_room_takes_a_bounded_number_of_people_at_once(ana: Any, browser_of: Callable[[Any], Client]) -> None:
    before = Room.objects.count()
    crowd = [str(each) for each in range(1000, 1101)]
    fields = {"name": "Crowd", "kind": "private", "client_id": str(uuid4()), "action": "make", "user": crowd}
    browser = browser_of(ana)
    page = browser.post("/new/", fields)
    assert "Add fewer people at once" in page.content.decode()
    assert Room.objects.count() == before
    assert not Membership.objects.filter(room__name="Crowd").exists()
    assert browser.post("/new/", {**fields, "kind": "open"}).status_code == 302, "nobody is added to an open room"


def test_what_is_counted_is_forgotten_after_a_while() -> None:
    with patch("chat.services.limits.time.monotonic", return_value=1000.0):
        assert [limits.page_wait_s("9", is_act=False) > 0 for _ in range(4)] == [False] * 3 + [True]
    with patch("chat.services.limits.time.monotonic", return_value=2000.1):
        assert limits.page_wait_s("9", is_act=False) == 0
