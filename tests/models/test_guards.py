"""What bypasses the services is refused: it would take no seq, and no open page would hear of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from chat.models import Membership, Mention, Message, Reaction, Room
from chat.models.database import write
from chat.services import reactions
from tests.cast import fresh, said

LIVE = [Room, Membership, Message, Reaction, Mention]


@pytest.fixture
def rows(ana: Any, ben: Any, lobby: Room) -> Message:
    message = said(ana, lobby, "@ben")
    reactions.add(by=ben, message_id=message.pk, emoji="👍")
    return message


@pytest.mark.parametrize("model", LIVE)
def test_no_live_table_is_changed_in_bulk_outside_the_services(rows: Message, model: Any) -> None:
    before = model.objects.count()
    assert before
    for work in (
        lambda: model.objects.update(pk=1),
        lambda: model.objects.all().delete(),
        lambda: model.objects.filter(pk__gt=0).delete(),
        lambda: model._default_manager.all().delete(),
        lambda: model.objects.first().delete(),
    ):
        with pytest.raises(TypeError, match=r"chat\.services"):
            work()
    assert model.objects.count() == before


RELATED: dict[str, Callable[[Any, Room, Message], Any]] = {
    "messages of a room, updated": lambda ana, room, message: room.messages.update(body="x"),
    "messages of a room, deleted": lambda ana, room, message: room.messages.all().delete(),
    "memberships of a person": lambda ana, room, message: ana.chat_memberships.all().delete(),
    "messages of a person, cut loose": lambda ana, room, message: ana.chat_messages.clear(),
    "in bulk": lambda ana, room, message: Message.objects.bulk_update([message], ["body"]),
}


@pytest.mark.parametrize("name", RELATED)
def test_related_managers_are_no_way_around(ana: Any, lobby: Room, rows: Message, name: str) -> None:
    with pytest.raises(TypeError, match=r"chat\.services"), transaction.atomic():
        RELATED[name](ana, lobby, rows)
    assert fresh(rows).author == ana


def test_a_service_that_fails_closes_the_door_behind_it(rows: Message) -> None:
    def fail() -> None:
        with write():
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with pytest.raises(TypeError):
        Message.objects.update(body="x")


def test_inside_a_service_it_works(rows: Message) -> None:
    with write():
        assert Reaction.objects.all().delete()[0] == 1
        assert Message.objects.filter(pk=rows.pk).update(kind="text") == 1
