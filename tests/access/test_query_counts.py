"""How many queries a socket's reads take: the number does not grow with the rooms, members or messages they show."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock, patch

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext

from chat.access import changes, headcounts, lookup, reads
from chat.access.policy import SITE
from chat.models import Message, Room
from chat.services import messages, reactions, rooms
from chat.wire.errors import MessageNotFound, RoomNotFound


def count(work: Callable[[], Any]) -> int:
    """The number of queries of ``work``, without those that open and close its transaction."""
    with CaptureQueriesContext(connection) as captured:
        work()
    marks = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "SET TRANSACTION")
    return sum(not each["sql"].startswith(marks) for each in captured.captured_queries)


@pytest.fixture
def writer(db: None) -> Any:
    return get_user_model().objects.create_user("writer")


@pytest.fixture
def reader(db: None) -> Any:
    return get_user_model().objects.create_user("reader")


def make_rooms(writer: Any, reader: Any, number: int) -> list[Room]:
    """Rooms of both, each with an unread message that names the reader, and one direct room."""
    made = [
        rooms.create(by=writer, name=f"Room {place}", kind="private", user_ids=[str(reader.pk)], invited_by=SITE)
        for place in range(number)
    ]
    made.append(rooms.open_direct(by=writer, user_ids=[str(reader.pk)]))
    for room in made:
        messages.post(by=writer, room_id=room.pk, body="hello @reader")
    return made


@pytest.mark.parametrize("number", [1, 30])
def test_hello_takes_four_queries_however_many_rooms(writer: Any, reader: Any, number: int):
    make_rooms(writer, reader, number)
    # memberships with rooms, unread mentions, names of direct rooms, rooms_version
    assert count(lambda: reads.hello(reader)) == 4


def test_hello_counts_who_is_connected_in_one_more_query(writer: Any, reader: Any):
    made = make_rooms(writer, reader, 30)
    here = Mock(is_certain=True, count=Mock(return_value=None), is_connected=lambda user_id: user_id == str(writer.pk))
    with patch.object(headcounts, "_source", here):
        assert count(lambda: reads.hello(reader)) == 5
        assert [each.online for each in reads.hello(reader)[0]] == [1] * len(made)
        here.count = {made[0].pk: 7}.get
        assert {each.id: each.online for each in reads.hello(reader)[0]}[str(made[0].pk)] == 7
        with patch.object(headcounts, "COUNTED_AT_MOST", 9):
            assert sum(each.online is None for each in reads.hello(reader)[0]) == len(made) - 1 - 4
        assert count(lambda: reads.room_state(reader, made[1].pk)) <= 5, "a change reads no members for it"
        here.is_certain = False
        assert {each.online for each in reads.hello(reader)[0]} == {None}


def test_what_is_hidden_takes_as_many_queries_as_what_is_missing(writer: Any, reader: Any):
    hidden = rooms.create(by=writer, name="Not the reader's", kind="private")
    message = int(messages.post(by=writer, room_id=hidden.pk, body="hi").id)

    def refused(look: Callable[[Any, int], Any], key: int) -> int:
        def ask() -> None:
            with pytest.raises((RoomNotFound, MessageNotFound)):
                look(reader, key)

        return count(ask)

    for look, key in [(lookup.room, hidden.pk), (lookup.watched_room, hidden.pk), (lookup.message, message)]:
        assert refused(look, key) == refused(look, 10**9) == refused(look, 0) > 0


@pytest.mark.parametrize("number", [1, 30])
def test_a_sync_asks_about_all_its_rooms_in_two_queries(writer: Any, reader: Any, number: int):
    wanted = [str(each.pk) for each in make_rooms(writer, reader, number)]
    assert count(lambda: changes.standings(reader, dict.fromkeys(wanted))) == 2


@pytest.mark.parametrize("number", [1, 30])
def test_the_rooms_of_many_people_are_looked_at_in_two_queries(writer: Any, reader: Any, number: int):
    made = {each.pk for each in make_rooms(writer, reader, number)}
    hidden = rooms.create(by=writer, name="Not the reader's", kind="private").pk
    asked = [(writer, {*made, hidden}), (reader, {*made, hidden}), (reader, {10**9})]
    answers: list[dict[int, bool]] = []
    assert count(lambda: answers.extend(lookup.watched_by_each(asked))) == 2
    assert [each.keys() for each in answers] == [{*made, hidden}, made, set()]


@pytest.mark.parametrize("number", [2, 60])
def test_a_page_of_changes_takes_five_queries_however_long(writer: Any, reader: Any, number: int):
    room = rooms.create(by=writer, name="Room", kind="private", user_ids=[str(reader.pk)], invited_by=SITE)
    for place in range(number):
        messages.post(by=writer, room_id=room.pk, body=f"{place}")
    posted = messages.post(by=writer, room_id=room.pk, body="last")
    reactions.add(by=reader, message_id=posted.id, emoji="👍")
    # room, membership, messages with authors, members with people, own reactions; before a run's first seq, the runs
    # and the other messages of a long page
    assert count(lambda: changes.page(reader, room.pk, 1)) == 5 + (number > reads.SLICE)
    assert count(lambda: changes.page(reader, room.pk, 0)) == 6 + (number > reads.SLICE)


@pytest.mark.parametrize("number", [2, 60])
def test_a_page_of_history_takes_six_queries_however_long(writer: Any, reader: Any, number: int):
    room = rooms.create(by=writer, name="Room", kind="private", user_ids=[str(reader.pk)], invited_by=SITE)
    for place in range(number):
        messages.post(by=writer, room_id=room.pk, body=f"{place}")
    posted = messages.post(by=writer, room_id=room.pk, body="last")
    reactions.add(by=reader, message_id=posted.id, emoji="👍")
    # room, membership, messages with authors, own reactions, who came, who went; the other messages of a long page
    assert count(lambda: reads.history(reader, room.pk, limit=100)) == 6 + (number > reads.SLICE)


@pytest.mark.parametrize("number", [2, 40])
def test_quotes_take_one_query_more_however_many(writer: Any, reader: Any, number: int):
    room = rooms.create(by=writer, name="Room", kind="private", user_ids=[str(reader.pk)], invited_by=SITE)
    first = [messages.post(by=writer, room_id=room.pk, body="?").id for _ in range(number)]
    for each in first:
        messages.post(by=reader, room_id=room.pk, body="!", reply_to=int(each))
    pages: list[Any] = []
    # room, membership, messages with authors, who came, who went, what is quoted
    assert count(lambda: pages.append(reads.history(reader, room.pk, limit=number))) == 6 + (number > reads.SLICE)
    assert len(pages[0].quoted) == number


def test_long_messages_that_no_page_has_room_for_are_not_read(writer: Any, reader: Any, settings: Any):
    room = rooms.create(by=writer, name="Room", kind="private", user_ids=[str(reader.pk)], invited_by=SITE)
    for place in range(80):
        messages.post(by=writer, room_id=room.pk, body=f"{place}" + "x" * 9_000)
    made: list[Any] = []

    def note(instance: Any, **_: Any) -> None:
        made.append(instance)

    post_init.connect(note, sender=Message)
    try:
        for read in (
            lambda: reads.history(reader, room.pk, limit=100),
            lambda: reads.history(reader, room.pk, after=1, limit=100),
            lambda: changes.page(reader, room.pk, 1),
        ):
            made.clear()
            page = read()
            assert 5 < len(page.messages) < reads.SLICE == len(made)
    finally:
        post_init.disconnect(note, sender=Message)


@pytest.mark.parametrize("number", [1, 30])
def test_a_page_of_members_takes_three_queries_however_many_were_added(writer: Any, reader: Any, number: int):
    people = [get_user_model().objects.create_user(f"p{place}") for place in range(number)]
    room = rooms.create(
        by=writer,
        name="Room",
        kind="private",
        user_ids=[str(reader.pk), *(str(each.pk) for each in people)],
        invited_by=SITE,
    )
    pages: list[Any] = []
    # room, membership, members with people
    assert count(lambda: pages.append(reads.members(reader, room.pk))) == 3
    assert [each.by.name for each in pages[0].members if each.by] == ["writer"] * (number + 1)


def test_comparing_heads_takes_one_query_for_all_rooms(writer: Any, reader: Any):
    made = make_rooms(writer, reader, 20)
    assert count(lambda: changes.positions({each.pk: (each.head, each.run) for each in made})) == 1
