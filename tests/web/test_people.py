"""Finding people and writing to them: whom policy lets one find, and nobody else."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from chat.access import directory
from chat.access.policy import Policy
from chat.models import Room
from chat.services import memberships, rooms
from chat.wire.errors import UserNotFound
from tests.cast import fresh
from tests.web.pages import address, opened, queries_of, read, sent

PLAIN = "chat.access.policy.Policy"


def test_everybody_with_an_account_is_found_but_oneself(ana: Any, ben: Any, make_person: Any, browser_of: Any):
    make_person("gone", is_active=False)
    page = opened(browser_of(ana), "people")
    assert "ben" in page and "gone" not in page and "ana" not in page


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("zo", True),
        ("QUILL", True),
        ("quill zoe", True),
        ("quill ben", False),
        ("%", False),
        ("zo\0e", True),
        ("", True),
    ],
)
def test_a_search_looks_at_each_name_there_is(ana: Any, make_person: Any, browser_of: Any, text: str, found: bool):
    make_person("zq", first_name="Zoe", last_name="Quill")
    assert ("Zoe Quill" in opened(browser_of(ana), "people", q=text)) is found


def test_writing_to_one_opens_the_one_room_of_both(ana: Any, ben: Any, cleo: Any, browser_of: Any):
    client = browser_of(ana)
    places = {
        client.post(address("direct"), {"only": ben.pk, "user": [cleo.pk], "action": "write"})["Location"] for _ in "12"
    }
    room = Room.objects.get(kind="direct")
    assert places == {address("room", room.pk)} and room.member_count == 2


def test_writing_to_those_ticked_opens_one_room_of_all(ana: Any, ben: Any, cleo: Any, browser_of: Any):
    sent(browser_of(ana), "direct", user=[ben.pk, cleo.pk, ben.pk], action="write")
    assert Room.objects.get(kind="direct").member_count == 3


@pytest.mark.parametrize("user", ["999999", "nonsense", "-1", "\u0663", "x" * 300, "a\0b"])
def test_a_person_who_does_not_exist_cannot_be_written_to(ana: Any, browser_of: Any, user: str):
    assert "There is no such person." in sent(browser_of(ana), "direct", only=user)
    assert not Room.objects.exists()


def test_too_many_or_no_people_are_refused_and_ticks_stay(ana: Any, make_person: Any, browser_of: Any):
    crowd = [make_person(f"p{place}").pk for place in range(8)]
    response = browser_of(ana).post(address("direct"), {"user": crowd, "action": "write"}, follow=True)
    assert "at most 8 people" in read(response)
    assert response.content.decode().count(" checked") == 8
    assert "Select somebody to write to first." in sent(browser_of(ana), "direct", action="write")


def test_searching_and_paging_keep_ticked_people(
    ana: Any, ben: Any, make_person: Any, browser_of: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(directory, "PAGE", 2)
    for name in ("cleo", "dan", "eve"):
        make_person(name)
    client = browser_of(ana)
    turned = client.post(address("direct"), {"q": "", "searched": "", "page": "2", "user": [ben.pk]}, follow=True)
    assert f'value="{ben.pk}" checked' in turned.content.decode()
    assert "dan" in read(turned) and "cleo" not in read(turned)
    found = client.post(
        address("direct"), {"q": "eve", "searched": "", "action": "enter", "user": [ben.pk]}, follow=True
    )
    assert f'value="{ben.pk}" checked' in found.content.decode() and "eve" in read(found) and "dan" not in read(found)
    assert not Room.objects.exists()


def test_more_people_cost_no_more_queries(ana: Any, make_person: Any, browser_of: Any):
    client = browser_of(ana)

    def after(number: int) -> int:
        start = get_user_model()._default_manager.count()
        for place in range(start, start + number):
            make_person(f"p{place}")
        return queries_of(client, "people")

    assert after(5) == after(40)


def test_a_name_is_never_markup(ana: Any, make_person: Any, browser_of: Any):
    make_person("villain", first_name='"><script>alert(1)</script>')
    html = browser_of(ana).get(address("people"), {"q": '"><script>alert(1)</script>'}).content.decode()
    assert "<script>alert" not in html
    assert "<script>alert" not in browser_of(ana).get(address("people")).content.decode()


# The policy at the door and in the transaction -------------------------------------------------------------------


def test_by_default_people_find_only_those_they_share_a_room_with(
    ana: Any, ben: Any, eve: Any, staff: Room, browser_of: Any, settings: Any
):
    settings.CHAT = {**settings.CHAT, "POLICY": PLAIN}
    page = opened(browser_of(ana), "people")
    assert "ben" in page and "eve" not in page
    memberships.remove(by=ana, room_id=staff.pk, user_id=str(ben.pk))
    assert "ben" not in opened(browser_of(ana), "people")


def test_people_who_cannot_be_found_can_neither_be_written_to_nor_added(
    ana: Any, eve: Any, staff: Room, browser_of: Any, settings: Any
):
    settings.CHAT = {**settings.CHAT, "POLICY": PLAIN}
    client = browser_of(ana)
    assert "There is no such person." in sent(client, "direct", only=eve.pk)
    page = read(client.post(address("room_settings", staff.pk), {"action": "add", "user": eve.pk}))
    assert "There is no such person." in page
    for act in (
        lambda: rooms.open_direct(by=ana, user_ids=[str(eve.pk)]),
        lambda: memberships.add(by=ana, room_id=staff.pk, user_id=str(eve.pk)),
        lambda: rooms.create(by=ana, name="New", kind="private", user_ids=[str(eve.pk)]),
    ):
        with pytest.raises(UserNotFound):
            act()
    assert Room.objects.count() == 1 and fresh(staff).member_count == 2


def test_a_hosts_policy_decides_which_people_can_be_found(
    ana: Any, ben: Any, cleo: Any, browser_of: Any, settings: Any
):
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.OnlyCleo"}
    page = opened(browser_of(ana), "people")
    assert "cleo" in page and "ben" not in page


class OnlyCleo(Policy):
    def people(self, user: Any) -> Any:
        return get_user_model()._default_manager.filter(username="cleo")


def test_an_e_mail_address_is_nobody_elses_business(ana: Any, make_person: Any, browser_of: Any):
    make_person("zoe@example.com", first_name="Zoe")
    assert "example.com" not in opened(browser_of(ana), "people")
