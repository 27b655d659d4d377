"""Queries whose SQL is made once answer as the plain ones do."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from chat.access import changes, identity, lookup, reads
from chat.models import Membership, Room, prepared
from chat.models.prepared import PREPARED, Prepared
from chat.services import messages, posting, reactions, rooms, tokens
from chat.services.posting import Post


def shape(row: Any) -> Any:
    """Everything that a row holds, with the rows that were read along with it."""
    if not isinstance(row, models.Model):
        return row
    fields = {
        each.attname: getattr(row, each.attname) for each in row._meta.concrete_fields if each.attname in vars(row)
    }
    related = {name: shape(each) for name, each in row._state.fields_cache.items()}
    return type(row), row._state.db, fields, related


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> set[Prepared[Any]]:
    """Compare each answer of a prepared query with the plain one's, and collect those that had rows."""
    call, seen = Prepared.__call__, set[Prepared[Any]]()

    def compare(self: Prepared[Any], *values: Any, limit: int | None = None) -> list[Any]:
        rows = call(self, *values, limit=limit)
        plain = list(self.plain(*values, limit=limit))
        assert list(map(shape, rows)) == list(map(shape, plain))
        if rows:
            seen.add(self)
        return call(self, *values, limit=limit)

    monkeypatch.setattr(Prepared, "__call__", compare)
    return seen


@pytest.fixture
def people(db: None) -> tuple[Any, Any]:
    make = get_user_model().objects.create_user
    return make("ana"), make("ben")


def test_every_prepared_query_answers_as_the_plain_one(people: tuple[Any, Any], compared: set[Prepared[Any]]):
    ana, ben = people
    made = [rooms.create(by=ana, name=f"Room {n}", kind="open") for n in range(3)]
    direct = rooms.open_direct(by=ana, user_ids=[str(ben.pk)])
    posts = [
        Post(ana, made[0].pk, uuid4(), "hello @ben"),
        Post(ana, made[1].pk, uuid4(), "two"),
        Post(ana, made[2].pk, uuid4(), "three"),
        Post(ben, direct.pk, uuid4(), "four @ana"),
    ]
    posting.post_many(posts)
    stored = [each for each in posting.post_many(posts) if not isinstance(each, Exception)]  # again: all are found
    for number in range(55):
        messages.post(by=ana, room_id=made[2].pk, body=f"{number}", reply_to=int(stored[2].id))
    reactions.add(by=ana, message_id=int(stored[0].id), emoji="👍")
    assert identity.from_token(tokens.issue(by=ana, user=ana))
    for person in people:
        reads.hello(person)
        reads.own_rooms(person)
        changes.standings(person, {str(each.pk): None for each in [*made, direct]})
    for where in (
        {},
        {"before": 2},
        {"after": 0},
        {"around": 1},
        {"around": 1, "limit": 1},
        {"limit": 1},
        {"limit": 100},
    ):
        for room in (made[0], made[2]):
            reads.history(ana, room.pk, **where)
    lookup.room(ana, direct.pk, lock=True)
    assert not [each._make for each in PREPARED if each not in compared], "all had rows to compare"
    assert not [each._make for each in PREPARED if None in each._made.values()], "all were compiled"


def test_a_long_page_is_read_in_two_parts_that_fit(people: tuple[Any, Any]):
    ana, _ = people
    room = rooms.create(by=ana, name="Room")
    for number in range(reads.SLICE + 10):
        messages.post(by=ana, room_id=room.pk, body=f"{number}")
    last = reads.SLICE + 10
    assert [each.number for each in reads.history(ana, room.pk, limit=100).messages] == list(range(1, last + 1))
    assert [each.number for each in reads.history(ana, room.pk, after=3, limit=100).messages] == list(
        range(4, last + 1)
    )
    assert [each.number for each in reads.history(ana, room.pk, before=last, limit=100).messages] == list(
        range(1, last)
    )


def test_nothing_is_asked_for_nothing(people: tuple[Any, Any]):
    with CaptureQueriesContext(connection) as captured:
        assert Prepared(lambda pks: Room.objects.filter(pk__in=pks), [int])([]) == []
    assert not captured.captured_queries


def test_lists_of_all_lengths_take_few_statements(people: tuple[Any, Any]):
    made = [rooms.create(by=people[0], name=f"Room {n}").pk for n in range(9)]
    query = Prepared(lambda pks: Room.objects.filter(pk__in=pks).order_by("pk"), [int])
    for count in range(1, 10):
        assert [each.pk for each in query(made[:count])] == made[:count]
    assert len(query._made) == 5


def test_what_a_django_binds_otherwise_is_asked_plainly(people: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepared, "_kind", lambda value: object())
    room = rooms.create(by=people[0], name="Room")
    query = Prepared(lambda pk: Membership.objects.filter(room=pk).select_related("room"), int)
    assert [each.room.name for each in query(room.pk)] == ["Room"]
    assert list(query._made.values()) == [None]


def test_long_lists_and_many_limits_are_bounded(people: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepared, "LONGEST", 2)
    monkeypatch.setattr(prepared, "MADE_AT_MOST", 3)
    made = [rooms.create(by=people[0], name=f"Room {n}").pk for n in range(4)]
    query = Prepared(lambda pks: Room.objects.filter(pk__in=pks).order_by("pk"), [int])
    assert [each.pk for each in query(made)] == made
    assert not query._made
    for limit in range(8):
        assert [each.pk for each in query(made[:2], limit=limit)] == made[: min(2, limit)]
        assert len(query._made) <= 3


@pytest.mark.django_db(transaction=True)
def test_a_lock_is_refused_outside_of_a_transaction():
    query = Prepared(lambda pk: Room.objects.select_for_update().filter(pk=pk), int)
    with transaction.atomic():
        assert query(1) == []
    if connection.features.has_select_for_update:
        with pytest.raises(transaction.TransactionManagementError):
            query(1)
