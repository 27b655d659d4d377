"""A repeat never posts twice, however late it comes and whatever happened meanwhile."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from chat.access.policy import SITE
from chat.models import Message, Room
from chat.services import memberships, messages, posting, rooms
from chat.wire.errors import (
    ClientIdConflict,
    MessageEmpty,
)
from tests.cast import at_once, fresh, numbers, post_of, published, said, say
from tests.services.log import check_log


def leave(ana: Any, ben: Any, room: Room, message: Message) -> None:
    memberships.leave(by=ben, room_id=room.pk)


def be_removed(ana: Any, ben: Any, room: Room, message: Message) -> None:
    memberships.remove(by=ana, room_id=room.pk, user_id=str(ben.pk))


def edit(ana: Any, ben: Any, room: Room, message: Message) -> None:
    messages.edit(by=ben, message_id=message.pk, body="something else")


def delete(ana: Any, ben: Any, room: Room, message: Message) -> None:
    messages.delete(by=ana, message_id=message.pk)


def archive(ana: Any, ben: Any, room: Room, message: Message) -> None:
    rooms.update(by=SITE, room_id=room.pk, archived=True)


def be_deactivated(ana: Any, ben: Any, room: Room, message: Message) -> None:
    ben.is_active = False
    ben.save()


def talk_on(ana: Any, ben: Any, room: Room, message: Message) -> None:
    say(ana, room)


@pytest.mark.parametrize("meanwhile", [talk_on, edit, delete, leave, be_removed, archive, be_deactivated])
@pytest.mark.parametrize("kind", ["open", "private"])
def test_a_repeat_gets_the_first_answer_whatever_happened_since(
    ana: Any, ben: Any, kind: str, meanwhile: Callable[..., None]
) -> None:
    room = rooms.create(by=ana, name="Room", kind=kind, user_ids=[str(ben.pk)], invited_by=SITE)
    client_id = uuid4()
    first = say(ben, room, "once", client_id=client_id)
    meanwhile(ana, ben, room, Message.objects.get(pk=first.id))
    before = fresh(room).head
    with published() as hints:
        again = say(ben, room, "once", client_id=client_id)
    assert again.duplicate
    assert (again.id, again.number, again.seq, again.epoch, again.created_at) == (
        *(first.id, first.number, first.seq, first.epoch, first.created_at),
    )
    assert not hints
    assert fresh(room).head == before
    check_log(room)


def test_the_same_client_id_with_another_body_is_a_conflict(ana: Any, lobby: Room) -> None:
    client_id = uuid4()
    message = said(ana, lobby, "one", client_id=client_id)
    for _ in range(2):
        with pytest.raises(ClientIdConflict):
            say(ana, lobby, "two", client_id=client_id)
        # What counts is the body first posted, not the present one.
        messages.edit(by=ana, message_id=message.pk, body="two")
    assert numbers(lobby) == [1]


def test_a_client_id_is_the_senders_own_and_the_rooms(ana: Any, ben: Any, lobby: Room, staff: Room) -> None:
    client_id = uuid4()
    results = [say(who, room, client_id=client_id) for who in (ana, ben) for room in (lobby, staff)]
    assert not any(each.duplicate for each in results)
    assert len({each.id for each in results}) == 4


def test_twins_in_one_batch_store_one_message(ana: Any, lobby: Room) -> None:
    client_id = uuid4()
    twin, other = (post_of(ana, lobby, body, client_id=client_id) for body in ("hello", "other"))
    first, again, conflict = posting.post_many([post_of(ana, lobby, client_id=client_id), twin, other])
    assert isinstance(first, messages.PostResult)
    assert isinstance(again, messages.PostResult)
    assert (first.duplicate, again.duplicate) == (False, True)
    assert (first.id, first.number, first.seq) == (again.id, again.number, again.seq)
    assert isinstance(conflict, ClientIdConflict)
    assert numbers(lobby) == [1]


def test_a_post_whose_twin_was_refused_is_judged_for_itself(ana: Any, eve: Any, lobby: Room) -> None:
    client_id = uuid4()
    refused, stored = posting.post_many(
        [post_of(ana, lobby, " ", client_id=client_id), post_of(ana, lobby, "text", client_id=client_id)]
    )
    assert isinstance(refused, MessageEmpty)
    assert isinstance(stored, messages.PostResult)
    assert not stored.duplicate


def test_repeats_that_come_at_once_store_one_message(transactional_db: None, ana: Any, lobby: Room) -> None:
    client_id = uuid4()
    outcomes = at_once([lambda: say(ana, lobby, client_id=client_id)] * 6)
    assert [each.duplicate for each in outcomes].count(False) == 1
    assert len({(each.id, each.number, each.seq) for each in outcomes}) == 1
    assert numbers(lobby) == [1]
    check_log(lobby)


def test_posts_that_come_at_once_take_turns(transactional_db: None, ana: Any, ben: Any, lobby: Room) -> None:
    works = [lambda who=who, n=n: say(who, lobby, f"{n}") for n in range(5) for who in (ana, ben)]
    outcomes = at_once(works)
    assert sorted(each.number for each in outcomes) == list(range(1, 11))
    check_log(lobby)
