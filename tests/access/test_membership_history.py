"""``history`` names the people who joined or left in the time span that its page shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chat.access import reads
from chat.access.policy import SITE
from chat.models import Membership, Message, Room
from chat.models.database import write
from chat.services import memberships, rooms
from chat.wire import protocol
from tests.cast import say

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


@pytest.fixture
def hall(ana: Any) -> Room:
    """A room with messages 1 … 9 at minutes 10 … 90; ana has been in it from the start."""
    room = rooms.create(by=ana, name="Hall")
    for _ in range(9):
        say(ana, room)
    with write():
        for message in Message.objects.filter(room=room):
            Message.objects.filter(pk=message.pk).update(created_at=at(10 * message.number))
    move(room, ana, joined=0)
    return room


def move(room: Room, person: Any, *, joined: int, left: int | None = None) -> None:
    memberships.add(by=SITE, room_id=room.pk, user_id=str(person.pk))
    if left is not None:
        memberships.remove(by=SITE, room_id=room.pk, user_id=str(person.pk))
    with write():
        Membership.objects.filter(room=room, user=person).update(
            joined_at=at(joined), left_at=None if left is None else at(left)
        )


def shown(user: Any, room: Room, **bounds: int) -> list[str]:
    return [each.user.name for each in reads.history(user, room.pk, **bounds).members]


def test_a_page_names_people_who_joined_or_left_within_it(ana: Any, ben: Any, cleo: Any, eve: Any, hall: Room):
    move(hall, ben, joined=42)
    move(hall, cleo, joined=5, left=45)
    move(hall, eve, joined=47, left=95)
    assert shown(ana, hall, around=4, limit=2) == ["ben", "cleo", "eve"], "messages 4 and 5: minutes 40 to 50"
    assert shown(ana, hall, around=6, limit=2) == []


def test_where_the_timeline_ends_the_span_is_open(ana: Any, ben: Any, cleo: Any, hall: Room):
    move(hall, ben, joined=95)
    move(hall, cleo, joined=1, left=2)
    assert shown(ana, hall, limit=2) == ["ben"]
    assert shown(ana, hall, before=3, limit=2) == ["ana", "cleo"]
    assert shown(ana, hall) == ["ana", "cleo", "ben"]


def test_a_page_names_at_most_the_latest_fifty_people(ana: Any, hall: Room, make_person: Any):
    for place in range(52):
        move(hall, make_person(f"p{place}"), joined=100 + place)
    assert shown(ana, hall, limit=2) == [f"p{place}" for place in range(2, 52)]


def test_a_page_past_the_end_and_a_direct_room_tell_of_nobody(ana: Any, hall: Room, ana_and_ben: Room):
    say(ana, ana_and_ben)
    assert shown(ana, hall, after=9) == []
    assert shown(ana, ana_and_ben) == []


def test_a_room_without_messages_names_people_who_joined(ana: Any, lobby: Room):
    assert shown(ana, lobby) == ["ana", "ben"]


def test_a_client_accepts_a_page_without_names_from_an_older_server():
    page = {"messages": [], "mine": {}, "more_before": False, "more_after": False, "epoch": "e1", "seq": 2}
    assert protocol.convert_result(page, protocol.HistoryPage).members == []
