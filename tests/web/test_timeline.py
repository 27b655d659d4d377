"""A room's first paint: which part of the conversation stands there, and that nobody's words can break out of it."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import override

from chat.models import Room
from chat.services import memberships, messages, read_pointers
from chat.web.timeline import day_name, moment_name
from tests.cast import said, say
from tests.web.pages import address

BrowserOf = Callable[[Any], Client]


def html_of(client: Client, name: str, *parts: Any) -> str:
    response = client.get(address(name, *parts))
    assert response.status_code == 200
    # What scripts clone shows nothing.
    return re.sub(r"<template\b.*?</template>", "", response.content.decode(), flags=re.DOTALL)


def first_of(html: str) -> dict[str, Any]:
    """The data that the page gives its scripts."""
    found = re.search(r'<script type="application/json" data-part="first">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def numbers(html: str) -> list[int]:
    return [int(each) for each in re.findall(r'data-number="(\d+)"', html)]


def test_lines_and_data_show_one_and_the_same_page(ana: Any, ben: Any, lobby: Room, browser_of: BrowserOf) -> None:
    for _ in range(60):
        say(ana, lobby)
    html = html_of(browser_of(ana), "room", lobby.pk)
    first = first_of(html)
    assert numbers(html) == [each["number"] for each in first["history"]["messages"]] == list(range(11, 61))
    assert (first["state"]["id"], first["state"]["epoch"]) == (str(lobby.pk), lobby.epoch)
    assert first["history"]["seq"] == first["state"]["seq"] == Room.objects.get(pk=lobby.pk).head
    assert "unread-line" not in html


def test_a_room_with_much_unread_opens_at_the_first_unread_message(
    ana: Any, ben: Any, lobby: Room, browser_of: BrowserOf
) -> None:
    for _ in range(100):
        say(ana, lobby)
    read_pointers.move(by=ben, room_id=lobby.pk, number=20)
    html = html_of(browser_of(ben), "room", lobby.pk)
    assert 21 in numbers(html)
    assert 100 not in numbers(html)
    assert re.search(r'unread-line.*?data-number="(\d+)"', html, re.DOTALL)[1] == "21"  # type: ignore[index]
    read_pointers.move(by=ben, room_id=lobby.pk, number=90)
    html = html_of(browser_of(ben), "room", lobby.pk)
    assert numbers(html)[-1] == 100, "a little is read from the newest page"
    assert "unread-line" in html


def test_a_permalink_marks_its_message_alone_and_asks_for_the_focus(
    ana: Any, lobby: Room, browser_of: BrowserOf
) -> None:
    for _ in range(100):
        say(ana, lobby)
    html = html_of(browser_of(ana), "message", lobby.pk, 30)
    assert html.count("message--target") == html.count("autofocus") == 1
    assert re.search(r'message--target"[^>]*data-number="30"[^>]*autofocus', html)
    assert 100 not in numbers(html)


EVIL = "</script><script>alert(1)</script> <!-- \u2028 & <b>bold</b>"


def test_words_and_names_stay_words(ana: Any, ben: Any, lobby: Room, browser_of: BrowserOf) -> None:
    type(ben)._default_manager.filter(pk=ben.pk).update(first_name='<i>"Ben"', last_name="</article>")
    ben.refresh_from_db()
    quoted = said(ben, lobby, EVIL)
    say(ana, lobby, "yes", reply_to=quoted.pk)
    html = html_of(browser_of(ana), "room", lobby.pk)
    assert first_of(html)["history"]["messages"][0]["body"] == EVIL
    assert "alert(1)</script" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert html.count("</article>") == 2


def test_a_tombstone_an_edit_and_a_lost_author_are_told(ana: Any, ben: Any, lobby: Room, browser_of: BrowserOf) -> None:
    gone, edited = said(ana, lobby, "never said"), said(ana, lobby, "> so\n\nsaid")
    listed = said(ana, lobby, "- one")
    messages.delete(by=ana, message_id=gone.pk)
    messages.edit(by=ana, message_id=edited.pk, body="said **again**")
    messages.edit(by=ana, message_id=listed.pk, body="- two")
    html = html_of(browser_of(ben), "room", lobby.pk)
    assert "never said" not in html
    assert "This message was deleted." in html
    # In the last paragraph, as the scripts put it, or else behind the rest.
    assert re.search(r'again</strong><span class="message__edited"[^>]*>\(edited\)</span></p>', html)
    assert re.search(r'</ul>\s*<span class="message__edited"', html)


def test_joins_and_leaves_are_shown_but_not_in_direct_rooms(
    ana: Any, ben: Any, cleo: Any, lobby: Room, ana_and_ben: Room, browser_of: BrowserOf
) -> None:
    memberships.join(by=cleo, room_id=lobby.pk)
    memberships.leave(by=cleo, room_id=lobby.pk)
    notices = re.findall(r'class="notice-line"[^>]*>([^<]*)<', html_of(browser_of(ana), "room", lobby.pk))
    assert notices == ["ana, ben and cleo joined", "cleo left"]
    assert "notice-line" not in html_of(browser_of(ana), "room", ana_and_ben.pk)
    memberships.add(by=ana, room_id=lobby.pk, user_id=str(cleo.pk))
    notices = re.findall(r'class="notice-line"[^>]*>([^<]*)<', html_of(browser_of(ben), "room", lobby.pk))
    assert notices == ["ana and ben joined", "cleo added by ana"]
    memberships.remove(by=ana, room_id=lobby.pk, user_id=str(cleo.pk))
    notices = re.findall(r'class="notice-line"[^>]*>([^<]*)<', html_of(browser_of(ben), "room", lobby.pk))
    assert notices == ["ana, ben and cleo joined", "cleo removed by ana"]


def test_a_quote_shows_author_and_text_even_if_its_message_is_not_on_the_page(
    ana: Any, ben: Any, lobby: Room, browser_of: BrowserOf
) -> None:
    first, second = said(ben, lobby, "Which *soup*?"), said(ben, lobby, "Nonsense")
    messages.delete(by=ben, message_id=second.pk)
    for _ in range(60):
        say(ana, lobby)
    for each in (first, second):
        say(ana, lobby, "well", reply_to=each.pk)
    html = html_of(browser_of(ana), "room", lobby.pk)
    quotes = re.findall(r'class="message__quote"[^>]*>(.*?)</a>', html)
    author = '<bdi data-part="quote-author">ben</bdi>: '
    assert quotes == [
        f'{author}<bdi data-part="quote-text">Which soup?</bdi>',
        f'{author}<bdi data-part="quote-text">Message deleted</bdi>',
    ]
    assert [each["number"] for each in first_of(html)["history"]["quoted"]] == [1, 2]


@pytest.mark.parametrize(("zone", "day", "time"), [("UTC", 20, "23:30"), ("Asia/Tokyo", 21, "08:30")])
def test_days_and_times_are_those_of_the_site(
    ana: Any, lobby: Room, browser_of: BrowserOf, settings: Any, monkeypatch: Any, zone: str, day: int, time: str
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 20, 23, 30, tzinfo=UTC))
    settings.TIME_ZONE = zone
    say(ana, lobby)
    html = html_of(browser_of(ana), "room", lobby.pk)
    assert f'data-key="day:2026-11-{day}"' in html
    assert f">{time}</time>" in html


def test_there_is_one_clock_in_messages_account_pages_and_the_admin() -> None:
    at = datetime(2026, 3, 5, 15, 4, tzinfo=UTC)
    assert moment_name(at) == "Thursday, March 5, 2026, 15:04"
    assert date_format(at, "DATETIME_FORMAT") == "March 5, 2026, 15:04"
    assert (date_format(at, "TIME_FORMAT"), date_format(at, "SHORT_DATETIME_FORMAT")) == ("15:04", "03/05/2026 15:04")
    with override("de"):
        assert moment_name(at) == "Donnerstag, 5. März 2026, 15:04"
        assert date_format(at, "DATETIME_FORMAT") == "5. März 2026 15:04"


def test_days_say_which_the_last_two_by_their_names(monkeypatch: Any) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert [day_name(f"2026-11-{day}") for day in (18, 19, 20)] == ["Wednesday, November 18", "Yesterday", "Today"]
    assert day_name("2019-11-20") == "November 20, 2019"
