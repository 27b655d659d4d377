"""``history`` includes the messages that its page replies to, unless they are on the page itself."""

from typing import Any

import pytest

from chat.access import reads
from chat.models import Message, Room
from chat.models.database import write
from chat.services import messages
from chat.wire import protocol
from tests.cast import said, say


@pytest.fixture
def hall(ana: Any, lobby: Room) -> Room:
    """The lobby with messages 1 … 9: 8 replies to 2 and 9 to 3."""
    first = [said(ana, lobby, f"word {number}") for number in range(1, 8)]
    for number in (2, 3):
        say(ana, lobby, f"on {number}", reply_to=first[number - 1].pk)
    return lobby


def page(user: Any, room: Room, **bounds: int) -> protocol.HistoryPage:
    return reads.history(user, room.pk, **bounds)


def test_quoted_messages_that_are_not_on_the_page_come_with_it_oldest_first(ana: Any, hall: Room) -> None:
    found = page(ana, hall, limit=4)
    assert [each.number for each in found.messages] == [6, 7, 8, 9]
    assert [(each.number, each.body) for each in found.quoted] == [(2, "word 2"), (3, "word 3")]
    assert [each.number for each in page(ana, hall, limit=7).quoted] == [2], "3 is on the page itself"
    assert page(ana, hall).quoted == page(ana, hall, before=8).quoted == []


def test_a_quoted_message_comes_in_its_present_state(ana: Any, hall: Room) -> None:
    second, third = Message.objects.filter(room=hall, number__in=(2, 3)).order_by("number")
    messages.edit(by=ana, message_id=second.pk, body="another word")
    messages.delete(by=ana, message_id=third.pk)
    edited, gone = page(ana, hall, limit=2).quoted
    assert (edited.body, edited.changed_seq) == ("another word", 12)
    assert (gone.body, gone.html, gone.deleted_at is not None) == ("", "", True)


def test_nothing_of_another_room_is_ever_quoted(ana: Any, hall: Room, staff: Room) -> None:
    secret = said(ana, staff, "secret")
    with write():
        assert Message.objects.filter(room=hall, number=8).update(reply_to=secret, reply_number=1) == 1
    assert [each.number for each in page(ana, hall, limit=2).quoted] == [3]


def test_quotes_fill_what_remains_of_the_frame_beginning_with_the_latest(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "BODY_CHARS": 40_000}
    long = [said(ana, lobby, f"{number}{'x' * 20_000}") for number in range(8)]
    for each in long:
        say(ana, lobby, "y" * 8_000, reply_to=each.pk)
    found = page(ana, lobby, limit=8)
    assert [each.number for each in found.messages] == list(range(9, 17))
    assert [each.number for each in found.quoted] == [8 - back for back in reversed(range(len(found.quoted)))]
    assert 0 < len(found.quoted) < 8
    assert len(protocol.encode(found)) < 256 * 1024


def test_a_client_accepts_a_page_without_quotes_from_an_older_server() -> None:
    old = {"messages": [], "mine": {}, "more_before": False, "more_after": False, "epoch": "e1", "seq": 2}
    assert protocol.convert_result(old, protocol.HistoryPage).quoted == []
