"""A room's page and its permalinks, and making a room: what the addresses give to whom."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from chat.access.policy import SITE, Policy
from chat.models import Membership, Room
from chat.services import messages, rooms
from tests.cast import say
from tests.web.pages import address, field_of, opened, queries_of, read, sent


def test_a_room_is_found_by_id_and_by_short_name(ben: Any, lobby: Room, browser_of: Any):
    for name in (lobby.pk, lobby.slug):
        assert "Lobby" in opened(browser_of(ben), "room", name)


def test_a_hidden_room_is_answered_like_a_missing_one(eve: Any, staff: Room, ana_and_ben: Room, browser_of: Any):
    client = browser_of(eve)
    for room in (staff.pk, staff.slug, ana_and_ben.pk, 999_999, "no-such-room", "9" * 30):
        for name, rest in (("room", ()), ("message", (1,)), ("room_settings", ())):
            assert client.get(address(name, room, *rest)).status_code == 404
        assert client.post(address("room_settings", room), {"action": "leave"}).status_code == 404
        for name in ("join", "leave"):
            assert client.post(address(name, room)).status_code == 404


def test_a_page_that_was_opened_by_its_short_name_goes_on_by_its_id(
    ana: Any, ben: Any, eve: Any, lobby: Room, browser_of: Any
):
    """The short name ends when the room becomes private, and pages that are open go on working."""
    client = browser_of(ana)
    for name in ("room", "room_settings"):
        html = client.get(address(name, "lobby")).content.decode()
        assert f"/rooms/{lobby.pk}/" in html and "/rooms/lobby" not in html
    answer = client.post(address("room_settings", "lobby"), {"action": "private"})
    assert answer.headers["Location"].rstrip("#") == address("room_settings", lobby.pk)
    lobby.refresh_from_db()
    for member in (ana, ben):
        for room in (lobby.pk, lobby.slug):
            assert "Lobby" in opened(browser_of(member), "room", room)
    for person in (ben, eve):
        gone, never = (browser_of(person).get(address("room", room)) for room in ("lobby", "never"))
        assert (gone.status_code, gone.content) == (never.status_code, never.content) == (404, never.content)


def test_a_direct_room_is_called_after_the_others(ana: Any, ben: Any, ana_and_ben: Room, browser_of: Any):
    assert "<title>ben · " in browser_of(ana).get(address("room", ana_and_ben.pk)).content.decode()
    assert "<title>ana · " in browser_of(ben).get(address("room", ana_and_ben.pk)).content.decode()


def test_a_deleted_account_is_named_as_such_everywhere(ana: Any, ben: Any, ana_and_ben: Room, browser_of: Any):
    client = browser_of(ana)
    room = rooms.create(by=ana, name="Kitchen", user_ids=[str(ben.pk)], invited_by=SITE)
    theirs = say(ben, room, "theirs")
    say(ana, room, "mine", reply_to=theirs.id)
    ben.delete()
    page = opened(client, "room", room.pk)
    assert "Deleted account left" in page and "Deleted account : theirs" in page
    html = client.get(address("room", ana_and_ben.pk)).content.decode()
    assert "<title>Deleted account · " in html
    assert re.search(r'data-part="name"[^>]*>Deleted account<', html)
    assert re.search(r'class="room-link__name"[^>]*>Deleted account<', html)
    assert "Nobody else is left in this conversation" in html
    assert not re.search(r'data-part="outside" hidden', html)


def test_a_permalink_leads_to_its_message_and_to_nothing_past_the_last(ana: Any, lobby: Room, browser_of: Any):
    client = browser_of(ana)
    posted = say(ana, lobby, "the one that is meant")
    assert "the one that is meant" in opened(client, "message", lobby.pk, 1)
    for number in (0, 2, 10**18, 10**30):
        page = client.get(address("message", lobby.pk, number), follow=True)
        assert page.redirect_chain == [(address("room", lobby.pk), 302)]
        assert "There is no such message here." in page.content.decode()
    messages.delete(by=ana, message_id=posted.id)
    assert "the one that is meant" not in opened(client, "message", lobby.pk, 1)


def test_a_room_costs_the_same_however_full(ana: Any, lobby: Room, browser_of: Any):
    client = browser_of(ana)
    for _ in range(5):
        say(ana, lobby)
    few = queries_of(client, "room", lobby.pk)
    for _ in range(40):
        say(ana, lobby)
    assert queries_of(client, "room", lobby.pk) == few


class LookingOnly(Policy):
    """Everybody may read every room, and nobody comes into one by themselves."""

    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return True

    def can_join(self, user: Any, room: Room) -> bool:
        return False


def test_a_person_who_may_only_read_is_told_so_and_not_offered_to_join(
    ana: Any, eve: Any, lobby: Room, staff: Room, browser_of: Any, settings: Any
):
    html = browser_of(eve).get(address("room", lobby.pk)).content.decode()
    assert "You are reading this room without being in it." in html
    assert re.search(r'data-part="join">', html)
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.LookingOnly"}
    for room, button in ((lobby, 'data-part="join" hidden disabled>'), (staff, 'data-part="join" hidden>')):
        html = browser_of(eve).get(address("room", room.pk)).content.decode()
        assert "You may read here, but not write." in html
        assert button in html


def test_joining_and_leaving_are_forms_that_need_no_scripts(eve: Any, lobby: Room):
    client = Client(enforce_csrf_checks=True)
    client.force_login(eve)
    for name, says in (("join", "Lobby"), ("leave", "You left the room.")):
        page = client.get(address("room", lobby.pk))
        place, token = form_around(page, f'data-part="{name}">')
        assert place == address(name, lobby.pk)
        assert client.post(place).status_code == 403, "a form of another site would do as well"
        answer = client.post(place, {"csrfmiddlewaretoken": token}, follow=True)
        assert answer.status_code == 200 and says in read(answer)
        assert Membership.objects.present().of(eve).filter(room=lobby).exists() is (name == "join")


def form_around(response: Any, button: str) -> tuple[str, str]:
    """Where the form with that button goes, and its token."""
    before = response.content.decode().partition(button)
    assert before[1], f"there is no {button}"
    form = before[0].rpartition("<form ")[2]
    found = re.search(r'method="post" action="([^"]*)".*name="csrfmiddlewaretoken" value="([^"]*)"', form, re.DOTALL)
    assert found and "</form>" not in form
    return found[1], found[2]


def test_leaving_asks_first_where_a_member_could_not_rejoin(
    ana: Any, ben: Any, lobby: Room, staff: Room, ana_and_ben: Room, browser_of: Any
):
    client = browser_of(ben)
    answer = client.post(address("leave", staff.pk), follow=True)
    assert "Leave Staff?" in read(answer) and "you need an invitation" in read(answer)
    assert present(ben, staff)
    assert "You left the room." in sent(client, "room_settings", staff.pk, action="leave")
    assert not present(ben, staff)
    assert "hidden until its next message" in sent(client, "leave", ana_and_ben.pk)
    rooms.update(by=ana, room_id=lobby.pk, archived=True)
    page = sent(client, "leave", lobby.pk)
    assert "Leave Lobby?" in page and "once it is reopened" in page
    assert present(ben, lobby)
    assert client.get(address("leave", lobby.pk)).status_code == 405


def test_leaving_is_harmless_twice_and_passes_the_last_owners_place_on(
    ana: Any, ben: Any, lobby: Room, browser_of: Any
):
    client = browser_of(ana)
    for _ in range(2):
        assert "You left the room." in sent(client, "leave", lobby.pk)
    assert not present(ana, lobby)
    assert Membership.objects.present().of(ben).get(room=lobby).role == Membership.Role.OWNER


def present(person: Any, room: Room) -> bool:
    return Membership.objects.present().of(person).filter(room=room).exists()


def test_hiding_a_direct_room_explains_itself(ana: Any, lobby: Room, ana_and_ben: Room, browser_of: Any):
    told = 'title="Hidden until somebody writes"'
    assert told in browser_of(ana).get(address("room", ana_and_ben.pk)).content.decode()
    assert told not in browser_of(ana).get(address("room", lobby.pk)).content.decode()


# Making one ------------------------------------------------------------------------------------------------------


def test_one_form_makes_one_room_however_often_it_is_sent(ana: Any, browser_of: Any):
    client = browser_of(ana)
    client_id = field_of(client.get(address("new_room")), "client_id")
    fields = {"action": "make", "name": "Garden", "topic": "Green", "kind": "open", "client_id": client_id}
    places = {client.post(address("new_room"), fields)["Location"] for _ in range(2)}
    room = Room.objects.get(name="Garden")
    assert places == {address("room", room.pk)}
    assert (room.topic, room.kind, room.member_count) == ("Green", "open", 1)


def test_two_forms_make_two_rooms(ana: Any, browser_of: Any):
    client = browser_of(ana)
    ids = {field_of(client.get(address("new_room")), "client_id") for _ in range(2)}
    assert len(ids) == 2


def test_a_private_room_begins_with_the_ticked_people(ana: Any, ben: Any, cleo: Any, browser_of: Any):
    sent(browser_of(ana), "new_room", **NEW, kind="private", user=[ben.pk, cleo.pk], client_id=uuid4())
    room = Room.objects.get(name="Garden")
    assert set(room.memberships.values_list("user__username", "role")) == {
        ("ana", "owner"), ("ben", "member"), ("cleo", "member"),
    }  # fmt: skip


def test_an_open_room_begins_with_its_maker_alone(ana: Any, ben: Any, browser_of: Any):
    sent(browser_of(ana), "new_room", **NEW, kind="open", user=[ben.pk], client_id=uuid4())
    assert Room.objects.get(name="Garden").member_count == 1


NEW = {"action": "make", "name": "Garden"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "   "}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"topic": "x" * 501}, "at most 500 characters"),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"kind": "direct"}, "Select a valid choice"),
        ({"client_id": "nonsense"}, "valid UUID"),
        ({"kind": "private", "user": ["999999"]}, "There is no such person."),
        ({"kind": "private", "user": ["nonsense"]}, "There is no such person."),
    ],
)
def test_an_invalid_form_shows_errors_and_creates_nothing(ana: Any, browser_of: Any, change: dict[str, Any], says: str):
    fields = {"action": "make", "name": "Garden", "topic": "", "kind": "open", "client_id": uuid4(), **change}
    response = browser_of(ana).post(address("new_room"), fields)
    assert says in response.content.decode()
    assert not Room.objects.exists()


def test_a_search_for_people_keeps_typed_text_and_ticks(ana: Any, ben: Any, cleo: Any, browser_of: Any):
    client_id = str(uuid4())
    response = browser_of(ana).post(
        address("new_room"),
        {
            "action": "enter", "q": "cle", "searched": "", "name": "Garden", "topic": "Green", "kind": "private",
            "user": [ben.pk], "client_id": client_id,
        },
    )  # fmt: skip
    html = response.content.decode()
    assert (
        f'value="{ben.pk}" checked' in html
        and f'value="{cleo.pk}"' in html
        and f'value="{cleo.pk}" checked' not in html
    )
    assert [field_of(response, each) for each in ("client_id", "searched")] == [client_id, "cle"]
    assert 'value="Garden"' in html and 'value="Green"' in html
    assert not Room.objects.exists()


def test_a_person_who_may_not_make_rooms_is_told_so(ana: Any, browser_of: Any, settings: Any):
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.NobodyMakesRooms"}
    page = sent(browser_of(ana), "new_room", **NEW, kind="open", client_id=uuid4())
    assert "You may not do that" in page and not Room.objects.exists()
    assert "New room" not in opened(browser_of(ana), "lobby")


def test_a_name_is_escaped_wherever_it_stands(ana: Any, browser_of: Any):
    room = rooms.create(by=ana, name="</script><script>alert(1)</script>", topic="<b>bold</b>")
    for name in ("room", "room_settings"):
        html = browser_of(ana).get(address(name, room.pk)).content.decode()
        assert "<script>alert(1)" not in html and "<b>bold" not in html
    assert Membership.objects.filter(room=room).count() == 1


class NobodyMakesRooms(Policy):
    def can_create_room(self, user: Any, kind: str) -> bool:
        return False


def test_no_cache_keeps_a_page_for_the_next_person(ana: Any, lobby: Room, browser_of: Any):
    client = browser_of(ana)
    for name, parts in (
        ("home", ()),
        ("lobby", ()),
        ("room", (lobby.pk,)),
        ("room_settings", (lobby.pk,)),
        ("people", ()),
    ):
        kept = client.get(address(name, *parts)).headers["Cache-Control"]
        assert "no-store" in kept, name
        assert "private" in kept, name
