"""A room's settings: what owner, member and outsider see, and what they may do whether they see it or not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from chat.access import directory
from chat.access.policy import SITE
from chat.live.hints import CompareRoom, RoomEvents
from chat.models import Membership, Room
from chat.services import memberships, rooms
from tests.cast import events_in, fresh, published
from tests.web.pages import address, opened, queries_of, read, sent


def people_of(room: Room) -> dict[str, str]:
    rows = Membership.objects.present().filter(room=room)
    return dict(rows.values_list("user__username", "role"))


def act(client: Any, room: Room, action: str, **fields: Any) -> Any:
    return client.post(address("room_settings", room.pk), {"action": action, **fields}, follow=True)


# What is seen ----------------------------------------------------------------------------------------------------


def test_an_owner_sees_everything_to_do(ana: Any, staff: Room, browser_of: Any):
    page = opened(browser_of(ana), "room_settings", staff.pk)
    for words in ("Name and topic", "Add people", "Archive this room", "Leave this room", "People: 2"):
        assert words in page
    assert "Owner: also gives roles" in page and "Open to everybody" in page
    html = browser_of(ana).get(address("room_settings", staff.pk)).content.decode()
    assert "Role of ben" in html and "Remove ben" in html and "Remove ana" not in html


def test_the_page_explains_why_there_is_nobody_to_add(ana: Any, make_person: Any, browser_of: Any):
    room = rooms.create(by=ana, name="Attic", kind="private")
    assert "There is nobody else to choose yet." in opened(browser_of(ana), "room_settings", room.pk)
    memberships.add(by=ana, room_id=room.pk, user_id=str(make_person("ben").pk))
    assert "Everybody is in this room already." in opened(browser_of(ana), "room_settings", room.pk)
    assert "Nobody found." in opened(browser_of(ana), "room_settings", room.pk, add="zebra")


def test_a_member_sees_the_members_and_can_leave(ben: Any, staff: Room, browser_of: Any):
    html = browser_of(ben).get(address("room_settings", staff.pk)).content.decode()
    assert "ana" in html and "Leave this room" in html
    for words in ("Name and topic", "Add people", "Archive this room", "Role of", "Remove ana", "Open to everybody"):
        assert words not in html


def test_a_moderator_removes_members_and_no_owner(ana: Any, ben: Any, cleo: Any, staff: Room, browser_of: Any):
    memberships.add(by=ana, room_id=staff.pk, user_id=str(cleo.pk))
    memberships.change_role(by=ana, room_id=staff.pk, user_id=str(ben.pk), role="moderator")
    html = browser_of(ben).get(address("room_settings", staff.pk)).content.decode()
    assert "Remove cleo" in html and "Remove ana" not in html and "Role of" not in html


def test_an_outsider_of_an_open_room_can_join_from_here(eve: Any, lobby: Room, browser_of: Any):
    page = opened(browser_of(eve), "room_settings", lobby.pk)
    assert "Join this room" in page and "Leave" not in page and "Add people" not in page


def test_a_direct_room_shows_its_people_and_can_be_hidden(ana: Any, ana_and_ben: Room, browser_of: Any):
    client = browser_of(ana)
    page = opened(client, "room_settings", ana_and_ben.pk)
    assert "ben" in page and "Hide this conversation" in page
    assert not any(words in page for words in ("Archive", "Add people", "Role", "Name and topic"))
    act(client, ana_and_ben, "leave")
    assert Membership.objects.of(ana).get(room=ana_and_ben).hidden


def test_a_superuser_manages_open_rooms_without_being_in_them(
    lobby: Room, staff: Room, make_person: Any, browser_of: Any
):
    root = browser_of(make_person("root", is_superuser=True))
    page = opened(root, "room_settings", lobby.pk)
    assert "Name and topic" in page and "Add people" in page and "Leave" not in page
    act(root, lobby, "update", name="Hall", topic="")
    assert fresh(lobby).name == "Hall"
    assert root.get(address("room_settings", staff.pk)).status_code == 404


def test_a_confirmation_is_shown_only_to_people_who_may_confirm(
    ana: Any, ben: Any, cleo: Any, eve: Any, staff: Room, lobby: Room, browser_of: Any
):
    memberships.change_role(by=ana, room_id=staff.pk, user_id=str(ben.pk), role="moderator")
    memberships.add(by=ana, room_id=staff.pk, user_id=str(cleo.pk))

    def is_asked(person: Any, room: Room, **query: Any) -> bool:
        page = opened(browser_of(person), "room_settings", room.pk, **query)
        assert "Cancel" in page or "People: " in page
        return "Cancel" in page

    asked: list[tuple[Any, Room, dict[str, Any], bool]] = [
        (ana, staff, {"confirm": "archive"}, True),
        (ben, staff, {"confirm": "archive"}, True),
        (cleo, staff, {"confirm": "archive"}, False),
        (cleo, staff, {"confirm": "open"}, False),
        (ben, staff, {"confirm": "private"}, False),  # it is
        (cleo, staff, {"confirm": "remove", "user": ben.pk}, False),
        (cleo, staff, {"confirm": "remove", "user": 999999}, False),
        (ben, staff, {"confirm": "remove", "user": ana.pk}, False),
        (ben, staff, {"confirm": "remove", "user": cleo.pk}, True),
        (ana, staff, {"confirm": "remove", "user": ana.pk}, False),
        (cleo, staff, {"confirm": "leave"}, True),
        (eve, lobby, {"confirm": "leave"}, False),
    ]
    for person, room, query, expected in asked:
        assert is_asked(person, room, **query) is expected, (person, query)
    rooms.update(by=ana, room_id=staff.pk, archived=True)
    assert not is_asked(ana, staff, confirm="archive") and not is_asked(ana, staff, confirm="open")


# What is done ----------------------------------------------------------------------------------------------------


def test_an_owner_renames_and_everybody_hears_of_it(ana: Any, staff: Room, browser_of: Any):
    with published() as hints:
        page = read(act(browser_of(ana), staff, "update", name="  Crew ", topic="Who works here"))
    assert "The room is changed." in page
    assert (fresh(staff).name, fresh(staff).topic) == ("Crew", "Who works here")
    assert hints


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"name": ""}, "This field is required."), ({"name": "x" * 101}, "at most 100"), ({"name": "\u200b \t"}, "")],
)
def test_an_invalid_name_is_an_error_at_its_field(ana: Any, staff: Room, browser_of: Any, fields: Any, says: str):
    page = read(act(browser_of(ana), staff, "update", topic="", **fields))
    assert says in page


def test_archiving_asks_first_and_can_be_taken_back(ana: Any, staff: Room, browser_of: Any):
    client = browser_of(ana)
    assert "Archive Staff?" in opened(client, "room_settings", staff.pk, confirm="archive")
    assert not fresh(staff).archived
    page = read(act(client, staff, "archive"))
    assert fresh(staff).archived and "Reopen this room" in page
    assert "Name and topic" not in page and "Add people" not in page
    assert "can be read, not written to" in read(act(client, staff, "update", name="New", topic=""))
    act(client, staff, "reopen")
    assert not fresh(staff).archived and fresh(staff).name == "Staff"


def test_a_private_room_is_opened_to_everybody_and_closed_again(
    ana: Any, ben: Any, eve: Any, staff: Room, browser_of: Any
):
    client, in_eves = browser_of(ana), browser_of(eve)
    page = opened(client, "room_settings", staff.pk, confirm="open")
    assert "Open Staff to everybody?" in page and "all that was ever written in it" in page
    assert in_eves.get(address("room", staff.pk)).status_code == 404
    with published() as hints:
        assert "The room is open to everybody now." in read(act(client, staff, "open"))
    assert [each.state.kind for each in events_in(hints, staff)] == ["open"]
    assert in_eves.get(address("room", staff.pk)).status_code == 200

    assert "Its members stay" in opened(client, "room_settings", staff.pk, confirm="private")
    with published() as hints:
        assert "The room is private now." in read(act(client, staff, "private"))
    assert CompareRoom(staff.pk) in hints, "who only watched must be let go"
    assert in_eves.get(address("room", staff.pk)).status_code == 404
    assert people_of(staff) == {"ana": "owner", "ben": "member"}


def test_people_are_added_and_the_room_is_told(ana: Any, cleo: Any, eve: Any, staff: Room, browser_of: Any):
    page = read(act(browser_of(ana), staff, "add", user=[cleo.pk, eve.pk]))
    assert "Added to the room." in page
    assert people_of(staff) == {"ana": "owner", "ben": "member", "cleo": "member", "eve": "member"}


@pytest.mark.parametrize("user", ["999999", "nonsense", "0", "\u0663"])
def test_an_unknown_person_cannot_be_added(ana: Any, staff: Room, browser_of: Any, user: str):
    page = read(act(browser_of(ana), staff, "add", user=[user]))
    assert "There is no such person." in page and len(people_of(staff)) == 2


def test_people_are_added_all_or_none_and_the_refusal_names_those_who_cannot_be(
    ana: Any, ben: Any, cleo: Any, eve: Any, staff: Room, lobby: Room, browser_of: Any
):
    memberships.join(by=eve, room_id=lobby.pk)  # so ana knows her name
    client = browser_of(ana)
    eve.is_active = False
    eve.save()
    head = fresh(staff).head
    response = act(client, staff, "add", user=[cleo.pk, eve.pk, 999999])
    assert "There is no such person: eve, 999999" in read(response)
    assert people_of(staff) == {"ana": "owner", "ben": "member"} and fresh(staff).head == head
    assert f'value="{cleo.pk}" checked' in response.content.decode(), "the others need not be ticked again"


def test_adding_many_is_one_transaction_and_one_hint(
    ana: Any, cleo: Any, eve: Any, ben: Any, staff: Room, browser_of: Any
):
    with published() as hints:
        act(browser_of(ana), staff, "add", user=[cleo.pk, eve.pk, ben.pk])
    assert [len(each.events) for each in hints if isinstance(each, RoomEvents)] == [2], "ben was there already"


def test_adding_without_a_choice_is_an_error(ana: Any, staff: Room, browser_of: Any):
    assert "Select somebody to add first." in read(act(browser_of(ana), staff, "add"))


def test_a_forged_form_cant_add_thousands(ana: Any, staff: Room, browser_of: Any):
    page = read(act(browser_of(ana), staff, "add", user=[str(place) for place in range(500)]))
    assert "Add fewer people at once." in page and len(people_of(staff)) == 2


def test_a_search_for_people_to_add_leaves_out_members(ana: Any, cleo: Any, staff: Room, browser_of: Any):
    client = browser_of(ana)
    response = act(client, staff, "enter", q="e", searched="", user=[cleo.pk])
    html = response.content.decode()
    assert f'value="{cleo.pk}" checked' in html, "what was ticked stays so"
    added = html.split('id="add"')[1]
    assert "cleo" in added and ">ben<" not in added


def test_the_enter_key_adds_the_ticked_people_when_nothing_new_is_searched(
    ana: Any, cleo: Any, staff: Room, browser_of: Any
):
    act(browser_of(ana), staff, "enter", q="cle", searched="cle", user=[cleo.pk])
    assert "cleo" in people_of(staff)


def test_removing_asks_first_and_takes_the_room_away(ana: Any, ben: Any, staff: Room, browser_of: Any):
    client = browser_of(ana)
    assert "Remove ben from Staff?" in opened(client, "room_settings", staff.pk, confirm="remove", user=ben.pk)
    assert len(people_of(staff)) == 2
    assert "Removed from the room." in read(act(client, staff, "remove", user=ben.pk))
    assert people_of(staff) == {"ana": "owner"}
    assert browser_of(ben).get(address("room", staff.pk)).status_code == 404
    assert client.get(address("room_settings", staff.pk), {"confirm": "remove", "user": "77"}).status_code == 404


def test_roles_change_but_the_last_owner_stays(ana: Any, ben: Any, staff: Room, browser_of: Any):
    client = browser_of(ana)
    page = read(act(client, staff, "role", user=ana.pk, role="member"))
    assert "Make somebody else an owner first." in page and people_of(staff)["ana"] == "owner"
    assert "The role is changed." in read(act(client, staff, "role", user=ben.pk, role="owner"))
    act(client, staff, "role", user=ana.pk, role="member")
    assert people_of(staff) == {"ana": "member", "ben": "owner"}
    assert "There is no such role." in read(act(client, staff, "role", user=ben.pk, role="king"))


def test_leaving_asks_first_and_passes_the_room_on(ana: Any, staff: Room, browser_of: Any):
    client = browser_of(ana)
    assert "you need an invitation" in opened(client, "room_settings", staff.pk, confirm="leave")
    assert "You left the room." in read(act(client, staff, "leave"))
    assert people_of(staff) == {"ben": "owner"}


def test_forbidden_acts_are_refused_even_without_a_page_that_offers_them(
    ben: Any, cleo: Any, ana: Any, staff: Room, browser_of: Any
):
    client = browser_of(ben)
    before = fresh(staff).head
    for action, fields in {
        "archive": {}, "reopen": {}, "open": {}, "add": {"user": cleo.pk}, "remove": {"user": ana.pk},
        "role": {"user": ben.pk, "role": "owner"},
    }.items():  # fmt: skip
        response = act(client, staff, action, **fields)
        assert response.status_code == 403 and "You may not do that" in read(response), action
    assert act(client, staff, "update", name="Mine", topic="").status_code == 403
    assert fresh(staff).head == before and fresh(staff).name == "Staff"


def test_an_unknown_action_does_nothing(ana: Any, staff: Room, browser_of: Any):
    before = fresh(staff).head
    for action in ("", "nonsense", "__class__"):
        assert act(browser_of(ana), staff, action).status_code == 200
    assert fresh(staff).head == before


# Many ------------------------------------------------------------------------------------------------------------


def fill(room: Room, number: int, make_person: Callable[..., Any]) -> None:
    start = get_user_model()._default_manager.count()
    for place in range(start, start + number):
        memberships.add(by=SITE, room_id=room.pk, user_id=str(make_person(f"person{place}").pk))
        make_person(f"stranger{place}")


def test_more_members_cost_no_more_queries(ana: Any, staff: Room, browser_of: Any, make_person: Any):
    client = browser_of(ana)
    fill(staff, 5, make_person)
    few = queries_of(client, "room_settings", staff.pk)
    fill(staff, 45, make_person)
    assert queries_of(client, "room_settings", staff.pk) == few


def test_members_have_pages_and_a_search(
    ana: Any, staff: Room, browser_of: Any, make_person: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(directory, "PAGE", 2)
    memberships.add(by=SITE, room_id=staff.pk, user_id=str(make_person("zoe", last_name="Quill").pk))
    client = browser_of(ana)
    first = opened(client, "room_settings", staff.pk).split("Add people")[0]
    second = opened(client, "room_settings", staff.pk, page=2).split("Add people")[0]
    assert "ana" in first and "zoe" not in first and "zoe" in second
    found = opened(client, "room_settings", staff.pk, q="quill").split("Add people")[0]
    assert "zoe" in found and "ben" not in found
    assert "Nobody in this room is called that." in opened(client, "room_settings", staff.pk, q="nobody")


def test_a_form_for_a_room_lost_since_the_page_was_opened_is_answered_like_a_missing_one(
    ana: Any, ben: Any, staff: Room, browser_of: Any
):
    client = browser_of(ben)
    opened(client, "room_settings", staff.pk)
    memberships.remove(by=ana, room_id=staff.pk, user_id=str(ben.pk))
    assert client.post(address("room_settings", staff.pk), {"action": "leave"}).status_code == 404


def test_names_are_never_markup(ana: Any, make_person: Any, browser_of: Any):
    villain = make_person("villain", first_name="<script>alert(1)</script>")
    room = rooms.create(by=ana, name="Room", user_ids=[str(villain.pk)], invited_by=SITE)
    client = browser_of(ana)
    for query in ({}, {"confirm": "remove", "user": villain.pk}, {"q": '"><script>alert(1)</script>'}):
        assert "<script>alert" not in client.get(address("room_settings", room.pk), query).content.decode()
    assert "alert(1)" in sent(client, "new_room", action="search", q="vill")
