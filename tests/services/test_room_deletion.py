"""A deleted room: missing to everybody at once, and what was said in it is out of the database."""

from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from chat import api
from chat.access import changes, lookup, reads
from chat.access.policy import SITE
from chat.live.hints import CompareRoom, RoomsMoved
from chat.models import Membership, Mention, Message, Reaction, Room
from chat.services import membership_rows, memberships, messages, reactions, room_deletion, rooms
from chat.services.posting import post_many
from chat.wire import protocol
from chat.wire.errors import MessageNotFound, RoomNotFound
from tests.cast import fresh, post_of, published, said, say
from tests.services.log import check_log


def delete(room: Room) -> list[Any]:
    with published() as hints:
        room_deletion.delete(by=SITE, room_id=room.pk)
    return hints


def test_no_message_of_a_deleted_room_is_left(ana: Any, ben: Any, lobby: Room, staff: Room) -> None:
    first = said(ana, lobby, "@ben look")
    said(ben, lobby, "I see", reply_to=first.pk)
    reactions.add(by=ben, message_id=first.pk, emoji="🎉")
    kept = said(ana, staff, "@ben stays")
    with patch.object(room_deletion, "MESSAGES_AT_ONCE", 1):
        delete(lobby)
    assert list(Message.objects.all()) == [kept]
    assert [each.message for each in Mention.objects.all()] == [kept]
    assert not Reaction.objects.exists()
    row = Room.with_deleted.get(pk=lobby.pk)
    assert (row.name, row.topic, row.is_swept) == ("", "", True)
    check_log(lobby)
    check_log(staff)


def test_its_people_are_told_and_their_lists_go_on(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    before = reads.rooms_versions([str(ana.pk), str(ben.pk)])
    hints = delete(lobby)
    told = {each.user_id: each for each in hints if isinstance(each, RoomsMoved)}
    for person in (ana, ben):
        hint = told.pop(str(person.pk))
        (event,) = protocol.decode_events(hint.encoded)
        assert event == protocol.RoomRemoved(room=str(lobby.pk), rooms_version=before[str(person.pk)] + 1)
        assert reads.rooms_version(person) == hint.rooms_version
        assert reads.hello(person)[0] == []
    assert not told
    assert CompareRoom(lobby.pk) in hints, "who only watches is found by every process"


def test_the_places_of_all_its_people_end_in_one_statement(ana: Any, make_person: Any, staff: Room) -> None:
    people = [make_person(f"person {number}") for number in range(5)]
    room = fresh(rooms.create(by=ana, name="Large", user_ids=[str(each.pk) for each in people], invited_by=SITE))
    elsewhere = list(Membership.objects.filter(room=staff).order_by("pk").values())
    assert Membership.objects.filter(room=room, moved_by=ana).count() == 5, "the premise"
    with patch.object(membership_rows, "PEOPLE_PER_QUERY", 2), CaptureQueriesContext(connection) as captured:
        delete(room)
    (update,) = (each["sql"] for each in captured if 'UPDATE "chat_membership"' in each["sql"])
    assert update.startswith("6 times: ")
    gone = list(Membership.objects.filter(room=room).order_by("pk"))
    assert [each.changed_seq for each in gone] == [room.head + place for place in range(1, 7)]
    assert {(each.moves, each.moved_by, each.left_at is not None) for each in gone} == {(2, None, True)}
    assert len({each.left_at for each in gone}) == 1
    assert list(Membership.objects.filter(room=staff).order_by("pk").values()) == elsewhere
    check_log(room)


def test_every_door_treats_it_as_missing(ana: Any, eve: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    delete(lobby)
    for who in (ana, eve):
        for look in (lookup.room, lookup.watched_room, reads.room_state, reads.history, reads.members):
            with pytest.raises(RoomNotFound):
                look(who, str(lobby.pk))
        with pytest.raises(MessageNotFound):
            lookup.message(who, message.pk)
        assert changes.standings(who, {str(lobby.pk): None}) == {}
        assert changes.page(who, lobby.pk, 0) is None
        assert changes.reset_states(who, [lobby.pk]) == {}
        assert reads.open_rooms(who)[0] == []
    assert changes.for_feed(lobby.pk, 0) is None
    assert changes.positions({lobby.pk: (1, "")}) == {}


def test_no_service_finds_it(ana: Any, ben: Any, cleo: Any, lobby: Room) -> None:
    client_id = uuid4()
    message = said(ana, lobby, client_id=client_id)
    delete(lobby)
    with published() as hints:
        for act in (
            lambda: say(ana, lobby, client_id=client_id),
            lambda: rooms.update(by=ana, room_id=lobby.pk, name="Back"),
            lambda: rooms.update(by=SITE, room_id=lobby.pk, archived=False),
            lambda: memberships.join(by=cleo, room_id=lobby.pk),
            lambda: memberships.add(by=SITE, room_id=lobby.pk, user_id=str(cleo.pk)),
            lambda: room_deletion.delete(by=SITE, room_id=lobby.pk),
        ):
            with pytest.raises(RoomNotFound):
                act()
        for act in (
            lambda: messages.edit(by=SITE, message_id=message.pk, body="x"),
            lambda: messages.delete(by=SITE, message_id=message.pk),
            lambda: messages.edit(by=ana, message_id=message.pk, body="x"),
        ):
            with pytest.raises(MessageNotFound):
                act()
    assert hints == []


def test_a_post_with_an_old_client_id_costs_its_batch_nothing(ana: Any, lobby: Room, staff: Room) -> None:
    client_id = uuid4()
    said(ana, lobby, client_id=client_id)
    delete(lobby)
    lost, kept = post_many([post_of(ana, lobby, client_id=client_id), post_of(ana, staff)])
    assert isinstance(lost, RoomNotFound)
    assert isinstance(kept, protocol.PostResult)


def test_its_name_its_people_and_its_subject_are_free_again(ana: Any, ben: Any, lobby: Room, ana_and_ben: Room) -> None:
    about = rooms.room_for(ben, by=SITE)
    for room in (lobby, ana_and_ben, about):
        delete(room)
    assert rooms.create(by=ana, name="Lobby").slug == "lobby"
    assert rooms.open_direct(by=ana, user_ids=[str(ben.pk)]) != ana_and_ben
    assert rooms.room_for(ben, by=SITE) != about


def test_a_late_repeat_does_not_make_it_again(ana: Any) -> None:
    client_id = uuid4()
    delete(rooms.create(by=ana, name="Lobby", client_id=client_id))
    with pytest.raises(RoomNotFound):
        rooms.create(by=ana, name="Lobby", client_id=client_id)


def test_an_interrupted_deletion_is_completed_by_the_next(ana: Any, lobby: Room, staff: Room) -> None:
    said(ana, lobby)
    with published(), patch.object(room_deletion, "sweep"):  # it ends right after the commit
        room_deletion.delete(by=SITE, room_id=lobby.pk)
    assert Message.objects.exists()
    delete(staff)
    assert not Message.objects.exists()


def test_nothing_goes_when_the_callers_transaction_rolls_back(transactional_db: None, ana: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    with transaction.atomic():
        api.delete_room(lobby)
        transaction.set_rollback(True)
    assert fresh(message).body
    assert fresh(lobby).name == "Lobby"
    check_log(lobby)


def test_a_large_room_takes_no_more_queries(
    ana: Any, lobby: Room, make_person: Any, django_assert_max_num_queries: Any
) -> None:
    for n in range(30):
        memberships.add(by=SITE, room_id=lobby.pk, user_id=str(make_person(f"p{n}").pk))
    with django_assert_max_num_queries(15):
        delete(lobby)
    assert not Membership.objects.present().exists()
