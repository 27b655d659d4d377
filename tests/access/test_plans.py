"""Frequent queries find their rows by an index, however large the tables are. The database's plans are asserted.

SQLite plans without looking at rows. PostgreSQL decides by the number of rows, so there are enough of them here.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import ForeignKey
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from chat.access import lobby as open_rooms
from chat.access import reads
from chat.models import Membership, Message, Reaction, Room
from chat.models.database import write
from chat.services import memberships, rooms

PEOPLE, ROOMS, MESSAGES = 40, 40, 2_000
Lookups = dict[str, set[frozenset[str]]]


@pytest.fixture
def hall(ana: Any, cleo: Any) -> Room:
    """An open room with 2,000 messages of ana and 40 others, and as many elsewhere. The others have 40 rooms of their
    own, cleo has none.

    Every tenth message of the last 1,000 replies to one far before it. Each has reactions by four people.
    """
    others = get_user_model().objects.bulk_create(get_user_model()(username=f"person {n}") for n in range(PEOPLE))
    hall = rooms.create(by=ana, name="Hall")
    annex = rooms.create(by=ana, name="Annex")
    with write():
        made = Room.objects.bulk_create(
            [Room(name=f"Room {n}", slug=f"room-{n}", kind=("open", "private")[n % 2], head=60) for n in range(ROOMS)]
        )
        Membership.objects.bulk_create(
            Membership(room=room, user=each, user_key=str(each.pk), joined_seq=place, changed_seq=place)
            for room in [hall, *made]
            for place, each in enumerate(others, 10)
        )
        posted = Message.objects.bulk_create(
            Message(
                room=room,
                author=[ana, *others][n % (PEOPLE + 1)],
                client_id=uuid4(),
                body_hash=b"",
                number=n + 1,
                seq=n + 100,
                changed_seq=n + 100,
                body="hello " * 10,
                reactions=[{"emoji": "👍", "count": 4, "users": []}],
            )
            for room in (hall, annex)
            for n in range(MESSAGES)
        )[:MESSAGES]
        for each in (replies := posted[1_000::10]):
            each.reply_to = posted[each.number - 900]
        Message.objects.bulk_update(replies, ["reply_to"])
        Reaction.objects.bulk_create(
            Reaction(message=each, user=person, user_key=str(person.pk), emoji="👍")
            for each in posted
            for turn in range(4)
            for person in [[ana, *others][(each.number + turn) % (PEOPLE + 1)]]
        )
        Room.objects.filter(pk=hall.pk).update(head=MESSAGES + 100, last_number=MESSAGES, member_count=PEOPLE + 1)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    hall.refresh_from_db()
    return hall


def test_a_persons_rooms_are_found_by_the_person(ana: Any, hall: Room) -> None:
    for read in (reads.hello, reads.own_rooms, open_rooms.open_rooms, reads.open_rooms):
        found = lookups(lambda read=read: read(ana))["chat_membership"]
        assert found and all("user_key" in each for each in found), read


def test_a_heartbeat_reads_the_versions_of_its_people_alone(ana: Any, cleo: Any, hall: Room) -> None:
    read = lookups(lambda: reads.rooms_versions([str(ana.pk), str(cleo.pk)]))
    assert read == {"chat_membership": {frozenset({"user_key"})}}


def test_joining_and_leaving_look_up_the_membership_by_room_and_person(cleo: Any, hall: Room) -> None:
    for change in (memberships.join, memberships.leave):
        found = lookups(lambda change=change: change(by=cleo, room_id=hall.pk))["chat_membership"]
        assert {"user_key", "room_id"} in found
        assert all({"user_key", "id"} & each for each in found)


def test_history_reads_its_page_and_its_quotes_and_no_other_message(ana: Any, hall: Room) -> None:
    pages: list[Any] = []
    for bounds in ({}, {"before": 1_500}, {"after": 1_500}, {"around": 1_500}):
        read = lookups(lambda bounds=bounds: pages.append(reads.history(ana, hall.pk, limit=50, **bounds)))
        assert pages[-1].quoted, "the premise"
        assert read["chat_message"] == {frozenset({"room_id", "number"}), frozenset({"id"})}


def test_history_finds_memberships_of_its_time_span_by_an_index(ana: Any, hall: Room) -> None:
    read = lookups(lambda: reads.history(ana, hall.pk, limit=10, before=1_500))["chat_membership"]
    assert read == {
        frozenset({"user_key", "room_id"}),
        *(frozenset({"room_id", at}) for at in ("joined_at", "left_at")),
    }


def test_own_reactions_are_found_by_person_and_messages(ana: Any, hall: Room) -> None:
    page = list(Message.objects.filter(room=hall).order_by("-number")[:50])
    assert lookups(lambda: reads.own_reactions(ana, page)) == {"chat_reaction": {frozenset({"user_key", "message_id"})}}


def test_a_page_of_members_is_not_sorted_out_of_all_of_them(ana: Any, hall: Room) -> None:
    def page() -> None:
        assert len(reads.members(ana, hall.pk, limit=10).members) == 10

    assert frozenset() not in lookups(page)["chat_membership"]
    assert not sorts_on_sqlite(page, "chat_membership")


@pytest.mark.parametrize(
    ("query", "columns"), [("person={ana}&room={hall}", {"author_id", "room_id"}), ("person={ana}", {"author_id"})]
)
def test_the_admin_finds_an_authors_messages_without_looking_at_others(
    ana: Any, hall: Room, query: str, columns: set[str]
) -> None:
    request = RequestFactory().get("/?" + query.format(ana=ana.pk, hall=hall.pk))
    request.user = get_user_model().objects.create_superuser("olga")

    def page() -> None:
        shown = list(admin.site._registry[Message].get_changelist_instance(request).result_list)
        assert len(shown) > 40 and {each.author for each in shown} == {ana}

    assert lookups(page)["chat_message"] == {frozenset(columns)}
    assert not sorts_on_sqlite(page, "chat_message")


def test_every_foreign_key_has_an_index_so_that_deleting_its_target_scans_no_table(db: None) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # there are no rows here to decide by
    keys = [
        (model, field)
        for model in apps.get_app_config("chat").get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey)
    ]
    assert len(keys) > 10, "the premise"
    for model, field in keys:
        for lookup in ({field.attname: 1}, {f"{field.attname}__in": [1, 2]}):
            rows = model._base_manager.filter(**lookup).values("pk")
            read = lookups(lambda rows=rows: list(rows))
            assert read == {model._meta.db_table: {frozenset({field.column})}}, field


# Plans ---------------------------------------------------------------------------------------------------------


def lookups(work: Callable[[], Any]) -> Lookups:
    """The columns by which ``work`` finds rows, for each of the chat's tables. An empty set means a full scan."""
    found: Lookups = defaultdict(set)
    for sql in _statements(work):
        for table, columns in _of_sqlite(sql) if connection.vendor == "sqlite" else _of_postgresql(sql):
            if table.startswith("chat_"):
                found[table].add(columns)
    return dict(found)


def sorts_on_sqlite(work: Callable[[], Any], table: str) -> bool:
    """Whether SQLite reads and sorts more rows of ``table`` than a page shows. PostgreSQL has other ways."""
    wanted = [sql for sql in _statements(work) if f'FROM "{table}"' in sql] if connection.vendor == "sqlite" else []
    return any("TEMP B-TREE" in step for sql in wanted for step in _steps(sql))


def _statements(work: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [each["sql"] for each in captured if each["sql"].startswith(("SELECT", "UPDATE", "DELETE"))]


def _steps(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3] for row in cursor.fetchall()]


def _of_sqlite(sql: str) -> Iterator[tuple[str, frozenset[str]]]:
    names = {alias: table for table, alias in re.findall(r'"(\w+)" ([TUVW]\d+)\b', sql)}
    for step in _steps(sql):
        if found := re.match(r"(?:SCAN|SEARCH) (\w+)(?: USING (.*))?", step):
            table, index = found[1], found[2] or ""
            # SQLite builds an automatic index for this one statement, from all rows.
            by = "" if "AUTOMATIC" in index else index.partition("(")[2]
            columns = {"id" if each == "rowid" else each for each in re.findall(r"(\w+)[=<>]", by)}
            yield names.get(table, table), frozenset(columns)


def _of_postgresql(sql: str) -> Iterator[tuple[str, frozenset[str]]]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        ((plan,),) = cursor.fetchall()
    for node in _nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
        if "Relation Name" in node and node["Node Type"] != "ModifyTable":
            by = node.get("Index Cond") or node.get("Recheck Cond") or ""
            yield node["Relation Name"], frozenset(re.findall(r"\((\w+)(?:\)::\w+)? [=<>]", by))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
