"""The page by which a person comes back into a private room that they had left."""

import re
from typing import Any

import pytest

from chat.models import Membership, Room
from chat.services import memberships
from chat.web import room_invitations
from tests.web.pages import address, read


@pytest.fixture
def link(staff: Room, ana: Any, ben: Any, browser_of: Any) -> str:
    """What ana is given for ben, who has left."""
    memberships.leave(by=ben, room_id=staff.pk)
    page = browser_of(ana).post(address("room_settings", staff.pk), {"action": "add", "user": str(ben.pk)})
    assert page.status_code == 403
    assert "ben left this room. Only an invitation can bring them back." in read(page)
    assert "Send ben this link" in read(page)
    (found,) = re.findall(r'value="http://testserver(/[^"]*invitations/[^"]+)"', page.content.decode())
    return str(found)


def is_in(person: Any, room: Room) -> bool:
    return Membership.objects.present().of(person).filter(room=room).exists()


def test_the_link_asks_first_and_then_leads_into_the_room(link: str, staff: Room, ben: Any, browser_of: Any) -> None:
    browser = browser_of(ben)
    page = read(browser.get(link))
    assert f"Come back to {staff.name}?" in page and "ana invites you" in page
    assert not is_in(ben, staff)
    answer = browser.post(link)
    assert (answer.status_code, answer["Location"]) == (302, address("room", staff.pk))
    assert is_in(ben, staff)
    assert browser.post(link)["Location"] == address("room", staff.pk), "a second click"
    assert browser.get(link).status_code == 404, "it is used"


def test_a_link_for_somebody_else_or_of_nonsense_is_a_room_that_does_not_exist(
    link: str, staff: Room, cleo: Any, ben: Any, browser_of: Any
) -> None:
    for wrong in (link, link[:-3] + "xx/", address("room_invitation", "nonsense")):
        for person in (cleo, ben) if wrong != link else (cleo,):
            assert browser_of(person).get(wrong).status_code == 404
            assert browser_of(person).post(wrong).status_code == 404
    assert not is_in(cleo, staff) and not is_in(ben, staff)


def test_a_link_ends_after_its_time(
    link: str, ben: Any, browser_of: Any, staff: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert browser_of(ben).get(link).status_code == 200
    monkeypatch.setattr(room_invitations, "LASTS_S", -1)
    assert browser_of(ben).post(link).status_code == 404
    assert not is_in(ben, staff)


def test_an_archived_room_says_so(link: str, staff: Room, ana: Any, ben: Any, browser_of: Any) -> None:
    browser_of(ana).post(address("room_settings", staff.pk), {"action": "archive"})
    assert "archived" in browser_of(ben).post(link, follow=True).content.decode()
    assert not is_in(ben, staff)
