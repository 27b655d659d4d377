"""Pages in the reader's time zone, which their browser tells by a cookie that may hold anything."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import set_script_prefix
from django.utils import timezone

from chat.models import Room
from chat.web.time_zone import COOKIE, in_readers_zone, script_zone, zone_of
from tests.cast import say
from tests.web.pages import address

BrowserOf = Callable[[Any], Client]


@pytest.fixture
def say_at(ana: Any, ana_and_ben: Room, monkeypatch: Any) -> Callable[[str], None]:
    """``say_at("2026-11-20T23:30Z")``: it is that time, and ana says something."""

    def at(moment: str) -> None:
        monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(moment))
        say(ana, ana_and_ben)

    return at


def page_in(zone: str | None, client: Client, room: Room) -> str:
    if zone is not None:
        client.cookies[COOKIE] = zone
    response = client.get(address("room", room.pk))
    assert response.status_code == 200
    assert "Cookie" in response["Vary"], "no cache may show it to a reader in another zone"
    return response.content.decode()


def lines(html: str) -> list[str]:
    """The day lines and the times of the messages, in order."""
    found = re.findall(r'data-key="day:([\d-]+)"|>(\d\d:\d\d)</time>', html)
    return ["".join(each) for each in found]


def config_of(html: str) -> dict[str, Any]:
    found = re.search(r'id="chat-config" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


@pytest.mark.parametrize(
    ("cookie", "printed", "shown"),
    [
        (None, "UTC", ["2026-11-20", "23:30"]),
        ("Asia/Tokyo", "Asia/Tokyo", ["2026-11-21", "08:30"]),
        ("America/Argentina/ComodRivadavia", "America/Argentina/ComodRivadavia", ["2026-11-20", "20:30"]),
        ("Etc/GMT+12", "Etc/GMT+12", ["2026-11-20", "11:30"]),
        ("Mars/Olympus_Mons", "UTC", ["2026-11-20", "23:30"]),
    ],
)
def test_days_and_times_are_those_of_the_reader_as_far_as_they_are_known(
    say_at: Any, ana: Any, ana_and_ben: Room, browser_of: BrowserOf, cookie: str | None, printed: str, shown: list[str]
) -> None:
    say_at("2026-11-20T23:30+00:00")
    html = page_in(cookie, browser_of(ana), ana_and_ben)
    assert lines(html) == shown
    assert config_of(html)["zone"]["printed"] == printed
    assert timezone.get_current_timezone_name() == site_settings.TIME_ZONE, "the next request is somebody else's"


def test_a_day_that_is_an_hour_short_begins_and_ends_where_the_reader_s_does(
    say_at: Any, ana: Any, ana_and_ben: Room, browser_of: BrowserOf
) -> None:
    for moment in ("08T04:59", "08T05:00", "08T06:59", "08T07:00", "09T03:59", "09T04:00"):
        say_at(f"2026-03-{moment}+00:00")
    night = ["23:59", "2026-03-08", "00:00", "01:59", "03:00", "23:59", "2026-03-09", "00:00"]
    assert lines(page_in("America/New_York", browser_of(ana), ana_and_ben)) == ["2026-03-07", *night]


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "/",
            "Asia/",
            "/etc/localtime",
            "../../../etc/passwd",
            "Asia/../../../etc/passwd",
            "Europe",
            "Asia//Tokyo",
        ),
        *(
            "zone.tab",
            "leapseconds",
            "__init__",
            "Asia/Tokyo\n",
            "Asia/Tokyo\0",
            "Asia\\Tokyo",
            "Asia/Tökyo",
            "１",
            "UTC+9",
        ),
        *("A" * 32, "A" * 100_000, "a/" * 50_000 + "a", "Asia/Tokyo/" + "x" * 5_000, "<script>", "%41sia/Tokyo", "{x}"),
    ],
)
def test_an_invalid_time_zone_is_ignored(value: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[COOKIE] = value
    assert zone_of(request) is None
    assert script_zone(request)["printed"] == site_settings.TIME_ZONE


def test_the_scripts_are_told_how_to_tell_theirs_for_the_whole_site() -> None:
    set_script_prefix("/intranet/")
    given = script_zone(RequestFactory().get("/", secure=True))
    assert given["attributes"] == "Path=/intranet/; Max-Age=31536000; SameSite=Lax; Secure"
    assert "Secure" not in script_zone(RequestFactory().get("/"))["attributes"]


def test_a_site_has_it_for_its_own_pages_as_a_middleware() -> None:
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse(timezone.get_current_timezone_name())

    request = RequestFactory().get("/")
    request.COOKIES[COOKIE] = "Asia/Tokyo"
    assert in_readers_zone(page)(request).content == b"Asia/Tokyo"
