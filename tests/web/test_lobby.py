"""The lobby: open rooms to look through, to search and to join, without scripts."""

from typing import Any

import pytest

from chat.access import lobby as listing
from chat.models import Membership, Room
from chat.services import memberships, rooms
from tests.cast import say
from tests.web.pages import address, opened, queries_of, sent


def test_the_lobby_shows_open_rooms_with_topic_and_members(
    eve: Any, ana: Any, lobby: Room, staff: Room, browser_of: Any
):
    rooms.update(by=ana, room_id=lobby.pk, topic="Everything and nothing")
    say(ana, lobby)
    page = opened(browser_of(eve), "lobby")
    assert "Lobby" in page and "Everything and nothing" in page and "People: 2" in page and "Last message" in page
    assert "Join" in page and "You are in" not in page
    assert "Staff" not in page


def test_a_member_sees_that_they_are_in(ben: Any, lobby: Room, browser_of: Any):
    page = opened(browser_of(ben), "lobby")
    assert "You are in" in page and "Join Lobby" not in page


def test_joining_leads_into_the_room_and_is_harmless_twice(eve: Any, lobby: Room, browser_of: Any):
    client = browser_of(eve)
    for _ in range(2):
        response = client.post(address("join", lobby.pk))
        assert response["Location"] == address("room", lobby.pk)
    assert Membership.objects.present().of(eve).filter(room=lobby).count() == 1


def test_a_private_room_can_be_joined_no_more_than_a_missing_one(eve: Any, staff: Room, browser_of: Any):
    client = browser_of(eve)
    assert {client.post(address("join", room)).status_code for room in (staff.pk, 999_999, "nonsense")} == {404}
    assert not Membership.objects.of(eve).exists()


def test_an_archived_room_is_shown_only_when_asked_for_and_says_why_nobody_can_join(
    ana: Any, eve: Any, lobby: Room, browser_of: Any
):
    rooms.update(by=ana, room_id=lobby.pk, archived=True)
    client = browser_of(eve)
    assert "Lobby" not in opened(client, "lobby")
    page = opened(client, "lobby", archived=1)
    assert "Lobby Archived" in page and "Join Lobby" not in page
    assert "archived" in sent(client, "join", lobby.pk)


@pytest.mark.parametrize(
    ("text", "found"), [("lob", True), ("LOB", True), ("ever", True), ("%", False), ("x" * 5000, False), ("a\0b", True)]
)
def test_a_search_looks_at_name_and_topic(ana: Any, lobby: Room, browser_of: Any, text: str, found: bool):
    rooms.update(by=ana, room_id=lobby.pk, topic="Everything")
    assert ("Lobby" in opened(browser_of(ana), "lobby", q=text)) is found


def test_a_search_finds_own_private_rooms_and_no_others(
    ana: Any,
    ben: Any,
    eve: Any,
    lobby: Room,
    staff: Room,
    ana_and_ben: Room,
    browser_of: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    names = {who: [each.room.name for each in listing.open_rooms(who, search="a")[0]] for who in (ben, eve)}
    assert names == {ben: ["Staff"], eve: []}
    assert "Staff Private" in opened(browser_of(ben), "lobby", q="staf")
    memberships.leave(by=ben, room_id=staff.pk)
    rooms.create(by=ana, name="Staff too", kind="private")
    monkeypatch.setattr(listing, "PAGE", 1)
    assert listing.open_rooms(ben, search="staff") == ([], False), "nor does it say how many there are"
    assert [each.room.name for each in listing.open_rooms(ana)[0]] == ["Lobby"], "the list itself is of open rooms"


def test_rooms_to_join_come_before_own_rooms(
    ana: Any, ben: Any, eve: Any, browser_of: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "PAGE", 2)
    made = [rooms.create(by=ana, name=f"Room {place}") for place in "ABC"]
    memberships.join(by=ben, room_id=made[2].pk)
    memberships.join(by=eve, room_id=made[2].pk)
    memberships.leave(by=eve, room_id=made[2].pk)
    say(ana, made[2])
    shown = {
        who: [each.room.name for page in (1, 2) for each in listing.open_rooms(who, page=page)[0]]
        for who in (ana, ben, eve)
    }
    assert shown[ben] == ["Room B", "Room A", "Room C"]
    assert shown[ana] == shown[eve] == ["Room C", "Room B", "Room A"]


def test_the_busiest_room_comes_first_and_the_rest_on_further_pages(
    ana: Any, browser_of: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(listing, "PAGE", 2)
    made = [rooms.create(by=ana, name=f"Room {place}") for place in "ABC"]
    say(ana, made[0])
    client = browser_of(ana)
    first, second = opened(client, "lobby"), opened(client, "lobby", page=2)
    assert "Room A" in first and "Room C" in first and "Next page" in first
    assert "Room B" in second and "Room A" not in second and "Previous page" in second and "Next page" not in second


@pytest.mark.parametrize("page", ["0", "-1", "x", "٣", "9" * 50, "999"])
def test_an_invalid_page_number_is_no_error(ana: Any, lobby: Room, browser_of: Any, page: str):
    opened(browser_of(ana), "lobby", page=page)


def test_names_are_text_and_never_markup(ana: Any, browser_of: Any):
    rooms.create(by=ana, name="<img src=x onerror=alert(1)>", topic='"><script>alert(1)</script>')
    for name in ("home", "lobby"):
        html = browser_of(ana).get(address(name)).content.decode()
        assert "<img src=x" not in html and "<script>alert" not in html
        assert "&lt;img src=x" in html


def test_without_rooms_it_says_so(eve: Any, browser_of: Any):
    assert "There is no open room yet" in opened(browser_of(eve), "lobby")
    assert "No open room is called that" in opened(browser_of(eve), "lobby", q="zebra")


def test_more_rooms_cost_no_more_queries(ana: Any, ben: Any, browser_of: Any):
    def fill(number: int) -> int:
        for place in range(number):
            room = rooms.create(by=ana, name=f"Room {place}")
            memberships.join(by=ben, room_id=room.pk)
            say(ana, room)
        return queries_of(client, "home")

    client = browser_of(ben)
    assert fill(3) == fill(20)


def test_an_anonymous_visitor_is_asked_to_sign_in(client: Any, lobby: Room):
    wanted = [address(name) for name in ("home", "lobby", "people", "tokens", "new_room")]
    wanted += [address(name, lobby.pk) for name in ("room", "room_settings")]
    for place in wanted:
        response = client.get(place)
        assert response.status_code == 302 and "login" in response["Location"]


def test_on_a_phone_the_home_page_shows_own_rooms_and_other_pages_their_content(ana: Any, lobby: Room, browser_of: Any):
    client = browser_of(ana)
    assert b'data-showing="list"' in client.get(address("home")).content
    assert b'data-showing="main"' in client.get(address("lobby")).content
    assert b'data-showing="room"' in client.get(address("room", lobby.pk)).content
