"""Making and changing rooms: each of a kind once, however often and however simultaneously it is asked for."""

import re
import threading
from contextlib import suppress
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.db.migrations.loader import MigrationLoader

from chat import api
from chat.access import changes
from chat.access.policy import SITE, Policy
from chat.live.hints import CompareRoom, RoomsMoved
from chat.models import Membership, Room
from chat.models.database import write
from chat.services import memberships, people, room_deletion, rooms
from chat.wire.errors import CommandInvalid, RoomArchived, RoomForbidden, RoomInvalid, RoomNotFound, UserNotFound
from tests.cast import at_once, events_in, fresh, published, say
from tests.services.log import check_log


def test_the_maker_of_a_room_owns_it_and_is_told(ana: Any, ben: Any) -> None:
    with published() as hints:
        room = rooms.create(
            by=ana,
            name=" Long   name ",
            topic="What\nfor",
            kind="private",
            user_ids=[str(ben.pk), str(ana.pk)],
            invited_by=SITE,
        )
    assert (room.name, room.topic, room.kind) == ("Long name", "What for", "private")
    assert re.fullmatch("long-name-[0-9a-f]{8}", room.slug)
    assert list(Membership.objects.filter(room=room).order_by("pk").values_list("user", "role")) == [
        (ana.pk, "owner"),
        (ben.pk, "member"),
    ]
    assert {each.user_id for each in hints if isinstance(each, RoomsMoved)} == {str(ana.pk), str(ben.pk)}
    assert [each.seq for each in events_in(hints, room)] == [1, 2]
    check_log(room)


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\x00b", "\u200b", "\ud800"])
def test_an_invalid_name_is_refused(ana: Any, lobby: Room, name: str) -> None:
    with pytest.raises(RoomInvalid) as refused:
        rooms.create(by=ana, name=name)
    assert refused.value.field == "name"
    with pytest.raises(RoomInvalid):
        rooms.update(by=ana, room_id=lobby.pk, name=name)


@pytest.mark.parametrize("kind", ["direct", "", "secret"])
def test_a_room_is_open_or_private(ana: Any, ben: Any, kind: str) -> None:
    with pytest.raises(CommandInvalid):
        rooms.create(by=ana, name="Room", kind=kind)
    with pytest.raises(CommandInvalid):
        rooms.room_for(ben, by=SITE, kind=kind)


def test_making_a_room_is_repeatable_with_a_client_id(ana: Any, ben: Any) -> None:
    client_id = uuid4()
    room = rooms.create(by=ana, name="Lobby", client_id=client_id)
    with published() as hints:
        assert rooms.create(by=ana, name="Another", client_id=client_id) == room
    assert not hints
    assert rooms.create(by=ben, name="Lobby", client_id=client_id) != room
    assert rooms.create(by=ana, name="Lobby") != room


def test_names_may_repeat_and_slugs_differ(ana: Any) -> None:
    slugs = [
        rooms.create(by=ana, name=name).slug for name in ("Lobby", "lobby!", "!!!", "???", "Räume 日本", "x" * 100)
    ]
    assert len(set(slugs)) == 6
    assert slugs[0] == "lobby"
    assert slugs[4] == "räume-日本"


def test_rooms_of_one_name_made_at_once_are_all_made(transactional_db: None, ana: Any, ben: Any) -> None:
    made = at_once([lambda who=who: rooms.create(by=who, name="Lobby") for who in (ana, ben) * 3])
    assert len({each.slug for each in made}) == 6


def test_the_maker_of_a_room_does_not_learn_whether_a_hidden_one_has_its_name(
    transactional_db: None, ana: Any, eve: Any
) -> None:
    hidden = rooms.create(by=ana, name="Layoffs", kind="private")
    api.room_for(ana, name="Mergers")
    assert rooms.create(by=eve, name="Layoffs", kind="private").slug != hidden.slug
    shapes = [
        re.sub("-[0-9a-f]{8}$", "-?", rooms.create(by=eve, name=name, kind=kind).slug)
        for kind in ("private", "open")
        for name in ("Layoffs", "Mergers", "Nothing")
    ]
    assert shapes == ["layoffs-?", "mergers-?", "nothing-?", "layoffs", "mergers", "nothing"]
    made = at_once([lambda: rooms.create(by=eve, name="Layoffs", kind="private")] * 4)
    assert len({each.slug for each in made}) == 4, made


def test_the_address_that_everybody_knew_tells_nothing_of_a_room_that_became_private(
    ana: Any, eve: Any, lobby: Room
) -> None:
    with published() as hints:
        rooms.update(by=ana, room_id=lobby.pk, name="Layoffs", kind="private")
    first = fresh(lobby).slug
    assert re.fullmatch("layoffs-[0-9a-f]{8}", first)
    assert CompareRoom(lobby.pk) in hints, "it is one change, which each client reads with its own eyes"
    page = changes.page(ana, lobby.pk, lobby.head)
    assert page is not None and page.room is not None
    assert page.room.slug == first
    assert [rooms.create(by=eve, name=name).slug for name in ("Lobby", "Layoffs")] == ["lobby", "layoffs"]
    rooms.update(by=ana, room_id=lobby.pk, kind="open")
    assert fresh(lobby).slug == first, "links to an open room stay"
    rooms.update(by=SITE, room_id=lobby.pk, kind="private", topic="again")
    assert fresh(lobby).slug not in (first, "layoffs", "lobby")
    rooms.update(by=ana, room_id=lobby.pk, name="Gone")
    assert fresh(lobby).slug.startswith("layoffs-"), "a new name leaves a room where it is"
    check_log(lobby)


def test_private_rooms_of_before_get_slugs_that_nobody_can_guess(ana: Any, lobby: Room, staff: Room) -> None:
    dated, renamed, suffixed, deleted = (
        rooms.create(by=ana, name=name, kind="private") for name in ("Plan 20261126", "Plan", "Kept", "Gone")
    )
    room_deletion.delete(by=SITE, room_id=deleted.pk)
    with write():
        for room, slug in ((staff, "staff"), (dated, "plan-20261126"), (renamed, "layoffs")):
            Room.objects.filter(pk=room.pk).update(slug=slug)
    before = {room.pk: Room.with_deleted.get(pk=room.pk).slug for room in (lobby, suffixed, deleted)}
    name = "0006_slugs_of_private_rooms"
    apps = MigrationLoader(connection).project_state(("chat", name)).apps
    import_module(f"chat.migrations.{name}").make_unguessable(apps, SimpleNamespace(connection=connection))
    slugs = [fresh(room).slug for room in (staff, dated, renamed)]
    for slug, plain in zip(slugs, ("staff", "plan-20261126", "plan"), strict=True):
        assert re.fullmatch(f"{plain}-[0-9a-f]{{8}}", slug)
    assert {pk: Room.with_deleted.get(pk=pk).slug for pk in before} == before


def test_two_people_who_add_each_other_to_rooms_do_not_deadlock(transactional_db: None, ana: Any, ben: Any) -> None:
    both, welcome = threading.Barrier(2), people.welcome

    def once_both_hold_their_own_row(*args: Any, **options: Any) -> Any:
        with suppress(threading.BrokenBarrierError):  # SQLite lets one in after the other
            both.wait(0.5)
        return welcome(*args, **options)

    def make(creator: Any, other: Any) -> Room:
        return rooms.create(by=creator, name="Two", client_id=uuid4(), user_ids=[str(other.pk)])

    with patch.object(people, "welcome", once_both_hold_their_own_row):
        made = at_once([lambda: make(ana, ben), lambda: make(ben, ana)])
    assert [fresh(each).member_count for each in made] == [2, 2]


def test_repeats_that_come_at_once_make_one_room(transactional_db: None, ana: Any) -> None:
    client_id = uuid4()
    made = at_once([lambda: rooms.create(by=ana, name="Lobby", client_id=client_id)] * 5)
    assert len({each.pk for each in made}) == 1
    assert Room.objects.count() == 1
    check_log(made[0])


# Direct rooms ----------------------------------------------------------------------------------------------------


def test_there_is_one_direct_room_of_the_same_people(ana: Any, ben: Any, cleo: Any) -> None:
    pair = rooms.open_direct(by=ana, user_ids=[str(ben.pk)])
    assert rooms.open_direct(by=ben, user_ids=[str(ana.pk), str(ben.pk), str(ana.pk)]) == pair
    three = rooms.open_direct(by=ana, user_ids=[str(ben.pk), str(cleo.pk)])
    assert three != pair
    assert rooms.open_direct(by=cleo, user_ids=[str(ana.pk), str(ben.pk)]) == three
    alone = rooms.open_direct(by=ana, user_ids=[])
    assert rooms.open_direct(by=ana, user_ids=[str(ana.pk)]) == alone
    for room, count in ((pair, 2), (three, 3), (alone, 1)):
        assert fresh(room).member_count == count
        check_log(room)


def test_a_direct_room_opened_by_both_at_once_is_one(transactional_db: None, ana: Any, ben: Any) -> None:
    works = [
        lambda: rooms.open_direct(by=ana, user_ids=[str(ben.pk)]),
        lambda: rooms.open_direct(by=ben, user_ids=[str(ana.pk)]),
    ]
    made = at_once(works * 3)
    assert len({each.pk for each in made}) == 1, made
    assert fresh(made[0]).member_count == 2
    check_log(made[0])


def test_a_direct_room_has_a_limit(ana: Any, make_person: Any) -> None:
    others = [str(make_person(f"person{n}").pk) for n in range(8)]
    with pytest.raises(CommandInvalid):
        rooms.open_direct(by=ana, user_ids=others)
    assert fresh(rooms.open_direct(by=ana, user_ids=others[:7])).member_count == 8


def test_one_unknown_person_is_enough_to_refuse(ana: Any, ben: Any) -> None:
    with pytest.raises(UserNotFound):
        rooms.open_direct(by=ana, user_ids=[str(ben.pk), "987654"])
    assert not Room.objects.exists()


def test_the_database_knows_that_direct_rooms_are_unique(ana: Any, ana_and_ben: Room) -> None:
    for wrong in ({"direct_key": ana_and_ben.direct_key}, {"direct_key": None}, {"kind": "open", "direct_key": "x"}):
        with pytest.raises(IntegrityError), write():
            Room.objects.create(**{"kind": "direct", "slug": "other", **wrong})


# Changing --------------------------------------------------------------------------------------------------------


def test_a_change_is_one_seq_and_the_same_again_is_none(ana: Any, lobby: Room) -> None:
    with published() as hints:
        for _ in range(2):
            rooms.update(by=ana, room_id=lobby.pk, name="Hall", topic="News", archived=True)
    (event,) = events_in(hints, lobby)
    assert (event.state.name, event.state.topic, event.state.archived) == ("Hall", "News", True)
    check_log(lobby)


def test_an_archived_room_can_only_be_opened_again(ana: Any, lobby: Room) -> None:
    rooms.update(by=ana, room_id=lobby.pk, archived=True)
    with pytest.raises(RoomArchived):
        rooms.update(by=ana, room_id=lobby.pk, name="Hall")
    assert rooms.update(by=ana, room_id=lobby.pk, name="Hall", archived=False).name == "Hall"


def test_plain_members_and_outsiders_change_nothing(
    ana: Any, ben: Any, eve: Any, lobby: Room, ana_and_ben: Room
) -> None:
    for who in (ben, eve):
        with pytest.raises(RoomForbidden):
            rooms.update(by=who, room_id=lobby.pk, name="Mine")
    with pytest.raises(RoomForbidden):
        rooms.update(by=ana, room_id=ana_and_ben.pk, name="Us")


def test_a_run_of_numbers_is_renewed_once(lobby: Room) -> None:
    rooms.renew_epoch(lobby.pk, lobby.epoch)
    second = fresh(lobby).epoch
    assert second != lobby.epoch
    rooms.renew_epoch(lobby.pk, lobby.epoch)
    assert fresh(lobby).epoch == second


# Rooms on the host's own things ----------------------------------------------------------------------------------


def test_a_thing_has_one_room_without_members(ana: Any, ben: Any, lobby: Room) -> None:
    room = rooms.room_for(ben, by=SITE)
    assert (room.name, room.kind, room.member_count, room.head) == ("ben", "private", 0, 0)
    assert rooms.room_for(ben, by=SITE, name="Another") == room
    assert rooms.room_for(ana, by=SITE) != room
    assert rooms.room_for(lobby, by=SITE) != room
    memberships.add(by=SITE, room_id=room.pk, user_id=str(ana.pk), role="owner")
    check_log(room)


def test_a_thing_asked_for_at_once_has_one_room(transactional_db: None, ana: Any) -> None:
    made = at_once([lambda: rooms.room_for(ana, by=SITE)] * 5)
    assert len({each.pk for each in made}) == 1, made


def test_a_thing_without_a_key_has_no_room(ana: Any) -> None:
    with pytest.raises(CommandInvalid):
        rooms.room_for(type(ana)(username="unsaved"), by=SITE)


# On behalf of the site -------------------------------------------------------------------------------------------


def test_the_site_changes_several_fields_in_one_change(ana: Any, lobby: Room) -> None:
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with published() as hints:
        for _ in range(2):
            rooms.update(by=SITE, room_id=lobby.pk, name="Hall", topic="News", archived=False)
    (event,) = events_in(hints, lobby)
    assert (event.state.name, event.state.topic, event.state.archived) == ("Hall", "News", False)
    check_log(lobby)


def test_a_room_that_becomes_private_carries_no_feed_past_that_point(ana: Any, eve: Any, lobby: Room) -> None:
    before = lobby.head
    with published() as hints:
        rooms.update(by=SITE, room_id=lobby.pk, kind="private")
        say(ana, lobby, "among us")
    assert CompareRoom(lobby.pk) in hints
    assert [each.seq for each in events_in(hints, lobby)] == [before + 2], "its own seq is not told as an event"
    assert changes.for_feed(lobby.pk, before) is None
    assert changes.for_feed(lobby.pk, before + 1) is not None
    assert changes.page(eve, lobby.pk, before) is None
    page = changes.page(ana, lobby.pk, before)
    assert page is not None
    assert page.room is not None
    assert page.room.kind == "private"
    check_log(lobby)
    with published() as hints:
        rooms.update(by=SITE, room_id=lobby.pk, kind="open")
    assert events_in(hints, lobby)[0].state.kind == "open"


def test_invalid_room_settings_are_refused(lobby: Room, ana_and_ben: Room) -> None:
    with pytest.raises(CommandInvalid):
        rooms.update(by=SITE, room_id=lobby.pk, kind="direct")
    with pytest.raises(RoomInvalid):
        rooms.update(by=SITE, room_id=lobby.pk, name=" ")
    for wanted in ({"name": "Us"}, {"topic": "us"}, {"kind": "open"}):
        with pytest.raises(RoomForbidden):
            rooms.update(by=SITE, room_id=ana_and_ben.pk, **wanted)  # type: ignore[arg-type]
    assert rooms.update(by=SITE, room_id=ana_and_ben.pk, archived=True).archived
    with pytest.raises(RoomNotFound):
        rooms.update(by=SITE, room_id=987654, name="Nowhere")


def test_the_sites_own_code_brings_people_together_who_cannot_find_each_other(
    ana: Any, ben: Any, make_person: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": "chat.access.policy.Policy"}
    with pytest.raises(UserNotFound):
        rooms.open_direct(by=ana, user_ids=[str(ben.pk)])
    room = api.open_direct(ana, [ben])
    assert fresh(room).member_count == 2
    assert api.open_direct(ben, [ana, ben]) == room
    with pytest.raises(UserNotFound):
        api.open_direct(ana, [make_person("off", is_active=False)])


class NoOpenRooms(Policy):
    def can_create_room(self, user: Any, kind: str) -> bool:
        return kind != "open"


def test_a_person_who_may_not_make_open_rooms_cannot_open_a_private_one(ana: Any, staff: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.NoOpenRooms"}
    with pytest.raises(RoomForbidden):
        rooms.update(by=ana, room_id=staff.pk, kind="open")
    rooms.update(by=ana, room_id=staff.pk, kind="private", name="Crew")  # what it is, it may stay
    assert (fresh(staff).kind, fresh(staff).name) == ("private", "Crew")


def test_managers_open_and_close_a_room_and_nobody_else(ana: Any, ben: Any, staff: Room, ana_and_ben: Room) -> None:
    for user, room, kind, error in (
        (ben, staff, "open", RoomForbidden),
        (ana, ana_and_ben, "open", RoomForbidden),
        (ana, staff, "direct", CommandInvalid),
    ):
        with pytest.raises(error):
            rooms.update(by=user, room_id=room.pk, kind=kind)
    head = fresh(staff).head
    assert rooms.update(by=ana, room_id=staff.pk, kind="open").is_open
    assert rooms.update(by=ana, room_id=staff.pk, kind="private").private_seq == head + 2
    rooms.update(by=ana, room_id=staff.pk, kind="private")
    assert fresh(staff).head == head + 2
    rooms.update(by=ana, room_id=staff.pk, archived=True)
    with pytest.raises(RoomArchived):
        rooms.update(by=ana, room_id=staff.pk, kind="open")


class HostRules(Policy):
    """A host may let somebody manage any room."""

    def can_manage(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return self.is_welcome(user)


def test_a_direct_room_stays_direct_whoever_manages_it(ana: Any, ana_and_ben: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.HostRules"}
    for kind in ("open", "private"):
        with pytest.raises(RoomForbidden):
            rooms.update(by=ana, room_id=ana_and_ben.pk, kind=kind)
    assert fresh(ana_and_ben).kind == "direct"


def test_a_moderator_closes_a_room_and_only_an_owner_shows_its_history_to_everybody(
    ana: Any, ben: Any, staff: Room
) -> None:
    memberships.change_role(by=SITE, room_id=staff.pk, user_id=str(ben.pk), role="moderator")
    with pytest.raises(RoomForbidden):
        rooms.update(by=ben, room_id=staff.pk, kind="open")
    with pytest.raises(RoomForbidden):
        rooms.update(by=ben, room_id=staff.pk, kind="open", name="Crew")
    assert (fresh(staff).kind, fresh(staff).name) == ("private", staff.name)
    rooms.update(by=ana, room_id=staff.pk, kind="open")
    rooms.update(by=ben, room_id=staff.pk, kind="private")
    assert fresh(staff).kind == "private"
