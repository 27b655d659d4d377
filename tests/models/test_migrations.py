"""A database of an older version, with rows in it, becomes one of this version."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from chat.models import Membership, Mention, Message, Reaction, Token
from chat.models.database import write

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = (Membership, Mention, Message, Reaction, Token)
OWN_INDEXES = {
    ("chat_message", "room_id"),
    ("chat_message", "author_id"),
    ("chat_reaction", "message_id"),
    ("chat_reaction", "user_id"),
    ("chat_mention", "user_id"),
    ("chat_token", "user_id"),
}
"""Foreign keys that had an index of their own before 0005."""
MADE_AGAIN = {("chat_reaction", "user_id"), ("chat_mention", "user_id")}
"""Those that have one again since 0007, when the constraints came to begin with ``user_key``."""


def migrate(*, to: str) -> Any:
    """The models as they are after the migration."""
    executor = MigrationExecutor(connection)
    executor.migrate([("chat", to)])
    return MigrationExecutor(connection).loader.project_state([("chat", to)]).apps


def indexes() -> set[tuple[str, ...]]:
    """Each index and constraint as its table and columns."""
    with connection.cursor() as cursor:
        return {
            (table, *each["columns"])
            for table in (model._meta.db_table for model in MODELS)
            for each in connection.introspection.get_constraints(cursor, table).values()
            if each["index"] or each["unique"]
        }


def rows() -> dict[str, list[Any]]:
    return {model.__name__: list(model._base_manager.order_by("pk").values()) for model in MODELS}


def rows_of(old: Any) -> dict[str, list[Any]]:
    models = [old.get_model("chat", model.__name__) for model in MODELS]
    return {model.__name__: list(model._base_manager.order_by("pk").values()) for model in models}


def without_new_columns(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows as they were before 0007 gave them keys, which memberships had already, and before 0010."""
    new = {"Membership": {"declined"}}
    return {
        name: [{key: value for key, value in row.items() if key not in new.get(name, {"user_key"})} for row in rows]
        for name, rows in tables.items()
    }


@pytest.fixture
def latest() -> Iterator[str]:
    name = max(name for app, name in MigrationExecutor(connection).loader.graph.leaf_nodes("chat"))
    yield name
    migrate(to=name)


def test_a_filled_database_of_0004_takes_the_new_indexes_and_keeps_its_rows(latest: str) -> None:
    fresh = indexes()
    assert OWN_INDEXES & fresh == MADE_AGAIN
    old = migrate(to="0004_moved_by")
    assert indexes() >= OWN_INDEXES, "the premise"
    fill(old)
    before = rows_of(old)
    assert all(before.values()), "the premise"

    migrate(to=latest)

    assert without_new_columns(rows()) == before
    assert not Membership.objects.filter(declined=True).exists()
    assert indexes() == fresh
    assert ("chat_membership", "user_key", "room_id") in fresh
    twin = Membership.objects.order_by("pk")[0]
    twin.pk = None
    with pytest.raises(IntegrityError), write():
        twin.save(force_insert=True)
    with write():
        assert Membership.objects.get().room.messages.count() == 3


def test_messages_of_0006_get_the_keys_of_their_authors_and_deleted_accounts_break_no_constraint(latest: str) -> None:
    old = migrate(to="0006_slugs_of_private_rooms")
    fill(old)
    twins = old.get_model("chat", "Message").objects.filter(number__gte=2)
    # Two people who posted the same client_id in the same room, and whose accounts are gone.
    twins.update(author=None, client_id=uuid4())
    assert len(set(twins.values_list("client_id", "author", "room"))) == 1, "the premise"

    migrate(to=latest)

    ana = str(get_user_model()._base_manager.get().pk)
    first, *gone = Message.objects.order_by("number")
    assert first.user_key == Reaction.objects.get().user_key == Mention.objects.get().user_key == ana
    assert [each.user_key for each in gone] == [f"gone:{each.pk}" for each in gone]
    with write():
        twin = Message(
            room=first.room, user_key=ana, client_id=first.client_id, number=9, seq=9, changed_seq=9, body_hash=b"x"
        )
        with pytest.raises(IntegrityError), write():
            twin.save(force_insert=True)


def fill(old: Any) -> None:
    person = get_user_model()._base_manager.create(username="ana")
    room = old.get_model("chat", "Room").objects.create(name="Hall", slug="hall", head=4, last_number=3)
    named: Any = {"user_id": person.pk}
    old.get_model("chat", "Membership").objects.create(
        room=room, user_key=str(person.pk), joined_seq=1, changed_seq=1, **named
    )
    messages = [
        old.get_model("chat", "Message").objects.create(
            room=room,
            author_id=person.pk,
            client_id=uuid4(),
            body_hash=b"x" * 32,
            number=number,
            seq=number + 1,
            changed_seq=number + 1,
            body=f"word {number}",
            edited_at=timezone.now(),
        )
        for number in (1, 2, 3)
    ]
    old.get_model("chat", "Message").objects.filter(number=3).update(reply_to=messages[0], reply_number=1)
    old.get_model("chat", "Reaction").objects.create(message=messages[0], emoji="🎉", **named)
    old.get_model("chat", "Mention").objects.create(message=messages[0], room=room, number=1, **named)
    old.get_model("chat", "Token").objects.create(name="bot", digest="0" * 64, **named)
