"""Coming and going: harmless when repeated, never without an owner, told to whom it concerns."""

import threading
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from django.db import connections, transaction

from chat.access import changes, reads
from chat.access.policy import SITE
from chat.live.hints import Hint, RoomsMoved
from chat.models import Membership, Message, Room
from chat.services import memberships, reactions, rooms
from chat.wire import protocol
from chat.wire.errors import (
    CommandInvalid,
    LastOwner,
    MemberNotFound,
    RoomArchived,
    RoomForbidden,
    RoomNotFound,
    UserNotFound,
)
from tests.cast import events_in, fresh, published, said, say
from tests.services.log import check_log


def moved(hints: list[Hint]) -> list[tuple[str, str, int]]:
    """Who was told that their rooms moved: (user id, event type, rooms_version)."""
    return [
        (each.user_id, msgspec.json.decode(each.encoded)["type"], each.rooms_version)
        for each in hints
        if isinstance(each, RoomsMoved)
    ]


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except UserNotFound:
            pass  # the person is gone
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def roles(room: Room) -> dict[str, str]:
    return dict(Membership.objects.present().filter(room=room).values_list("user__username", "role"))


def kinds(hints: list[Hint], room: Room) -> list[str]:
    return [type(each).__name__ for each in events_in(hints, room)]


# Joining and leaving ---------------------------------------------------------------------------------------------


def test_joining_twice_is_one_change(cleo: Any, ana: Any, lobby: Room) -> None:
    say(ana, lobby)
    with published() as hints:
        room = memberships.join(by=cleo, room_id=lobby.pk)
        memberships.join(by=cleo, room_id=lobby.pk)
    assert kinds(hints, lobby) == ["MemberJoined"]
    assert moved(hints) == [(str(cleo.pk), "room.added", 1)]
    assert room.member_count == 3
    assert reads.room_state(cleo, lobby.pk).unread == 0, "reading starts at the newest message"
    check_log(lobby)


def test_leaving_twice_is_one_change(ben: Any, lobby: Room) -> None:
    with published() as hints:
        memberships.leave(by=ben, room_id=lobby.pk)
        memberships.leave(by=ben, room_id=lobby.pk)
    assert kinds(hints, lobby) == ["MemberLeft"]
    assert moved(hints) == [(str(ben.pk), "room.removed", reads.rooms_version(ben))]
    check_log(lobby)


def test_a_returning_member_gets_the_old_row_as_a_plain_member(ana: Any, ben: Any, lobby: Room) -> None:
    memberships.change_role(by=ana, room_id=lobby.pk, user_id=str(ben.pk), role="moderator")
    memberships.leave(by=ben, room_id=lobby.pk)
    memberships.join(by=ben, room_id=lobby.pk)
    assert roles(lobby) == {"ana": "owner", "ben": "member"}
    assert Membership.objects.filter(room=lobby).count() == 2


def test_nobody_joins_hidden_or_archived_rooms(eve: Any, ana: Any, lobby: Room, staff: Room) -> None:
    with pytest.raises(RoomNotFound):
        memberships.join(by=eve, room_id=staff.pk)
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with pytest.raises(RoomArchived):
        memberships.join(by=eve, room_id=lobby.pk)
    with pytest.raises(RoomArchived):
        memberships.add(by=ana, room_id=lobby.pk, user_id=str(eve.pk))


def test_rooms_version_rises_with_every_coming_and_going(ana: Any, ben: Any, lobby: Room, ana_and_ben: Room) -> None:
    acts = [
        lambda: memberships.leave(by=ben, room_id=lobby.pk),
        lambda: memberships.join(by=ben, room_id=lobby.pk),
        lambda: memberships.remove(by=ana, room_id=lobby.pk, user_id=str(ben.pk)),
        lambda: memberships.add(by=ana, room_id=lobby.pk, user_id=str(ben.pk)),
        lambda: say(ana, ana_and_ben),  # shows him the room
        lambda: memberships.leave(by=ben, room_id=ana_and_ben.pk),  # hides it
        lambda: say(ana, ana_and_ben),
        lambda: rooms.create(by=ben, name="Ben's"),
    ]
    told = []
    for act in acts:
        with published() as hints:
            act()
        told += [version for user_id, _, version in moved(hints) if user_id == str(ben.pk)]
    assert len(told) == len(acts)
    assert told == sorted(set(told))
    assert told[-1] == reads.rooms_version(ben)


# Adding, removing, roles -----------------------------------------------------------------------------------------


def test_adding_and_removing_twice_are_one_change_each(ana: Any, cleo: Any, staff: Room) -> None:
    person = {"by": ana, "room_id": staff.pk, "user_id": str(cleo.pk)}
    with published() as hints:
        memberships.add(**person)
        memberships.add(**person)
        memberships.remove(**person)
        memberships.remove(**person)
    assert kinds(hints, staff) == ["MemberJoined", "MemberLeft"]
    assert [each.by.id for each in events_in(hints, staff)] == [str(ana.pk)] * 2
    assert [kind for _, kind, _ in moved(hints)] == ["room.added", "room.removed"]
    check_log(staff)


def test_the_actor_of_a_membership_change_is_the_same_live_and_in_history(ana: Any, cleo: Any, staff: Room) -> None:
    place = {"room_id": staff.pk, "user_id": str(cleo.pk)}
    acts = [
        (lambda: memberships.add(by=ana, **place), "ana"),
        (lambda: memberships.leave(by=cleo, room_id=staff.pk), None),
        (lambda: memberships.add(by=SITE, user_id=str(cleo.pk), room_id=staff.pk), None),
        (lambda: memberships.remove(by=ana, **place), "ana"),
        (lambda: memberships.add(by=ana, **place), "ana"),
        (lambda: memberships.change_role(by=ana, role="owner", **place), "ana"),
        (lambda: memberships.remove(by=cleo, **place), None),
    ]
    for act, by in acts:
        with published() as hints:
            act()
        (live,) = events_in(hints, staff)
        assert (live.member.by.name if live.member.by else None) == by
        page = changes.for_feed(staff.pk, live.seq - 1)
        assert page is not None
        (repaired,) = (protocol.decode_events(each.encoded)[0] for each in changes.as_events(page, live.seq - 1))
        assert repaired.member == live.member
        assert live.member in reads.history(ana, staff.pk).members
        if type(live) is not protocol.MemberChanged:
            assert repaired == live
            assert live.by == live.member.by


def test_the_person_who_added_a_member_is_forgotten_with_their_account(
    ana: Any, ben: Any, cleo: Any, staff: Room
) -> None:
    memberships.add(by=ana, room_id=staff.pk, user_id=str(cleo.pk))
    added = Membership.objects.get(room=staff, user=cleo)
    assert added.moved_by == ana
    ana.delete()
    assert fresh(added).moved_by is None
    assert fresh(added).is_present


def test_members_move_nobody_and_moderators_move_members_only(ana: Any, ben: Any, cleo: Any, lobby: Room) -> None:
    memberships.join(by=cleo, room_id=lobby.pk)
    place = {"room_id": lobby.pk}
    with pytest.raises(RoomForbidden):
        memberships.remove(by=ben, user_id=str(cleo.pk), **place)
    with pytest.raises(RoomForbidden):
        memberships.add(by=ben, user_id=str(cleo.pk), **place)
    memberships.change_role(by=ana, user_id=str(ben.pk), role="moderator", **place)
    for act in (
        lambda: memberships.remove(by=ben, user_id=str(ana.pk), **place),
        lambda: memberships.add(by=ben, user_id=str(cleo.pk), role="owner", **place),
        lambda: memberships.change_role(by=ben, user_id=str(ben.pk), role="owner", **place),
    ):
        with pytest.raises(RoomForbidden):
            act()
    memberships.remove(by=ben, user_id=str(cleo.pk), **place)
    assert roles(lobby) == {"ana": "owner", "ben": "moderator"}


def test_the_last_owner_stays_owner_and_stays(ana: Any, ben: Any, lobby: Room) -> None:
    place = {"by": ana, "room_id": lobby.pk}
    for act in (memberships.remove, lambda **who: memberships.change_role(role="member", **who)):
        with pytest.raises(LastOwner):
            act(user_id=str(ana.pk), **place)
    memberships.change_role(user_id=str(ben.pk), role="owner", **place)
    memberships.change_role(user_id=str(ana.pk), role="member", **place)
    assert roles(lobby) == {"ana": "member", "ben": "owner"}


def test_the_same_role_again_changes_nothing(ana: Any, ben: Any, lobby: Room) -> None:
    with published() as hints:
        memberships.change_role(by=ana, room_id=lobby.pk, user_id=str(ben.pk), role="member")
    assert not hints


@pytest.mark.parametrize(("role", "heir"), [("member", "ben"), ("moderator", "cleo")])
def test_the_last_owner_is_succeeded_by_the_moderator_or_else_the_longest_member(
    ana: Any, ben: Any, cleo: Any, lobby: Room, role: str, heir: str
) -> None:
    memberships.add(by=ana, room_id=lobby.pk, user_id=str(cleo.pk), role=role)
    with published() as hints:
        memberships.leave(by=ana, room_id=lobby.pk)
    assert kinds(hints, lobby) == ["MemberChanged", "MemberLeft"]
    assert [name for name, each in roles(lobby).items() if each == "owner"] == [heir]
    check_log(lobby)


def test_the_last_person_of_a_room_may_leave(ana: Any) -> None:
    room = rooms.create(by=ana, name="Alone")
    memberships.leave(by=ana, room_id=room.pk)
    assert fresh(room).member_count == 0


def test_a_person_who_is_not_a_member_has_no_role(ana: Any, ben: Any, eve: Any, lobby: Room) -> None:
    memberships.leave(by=ben, room_id=lobby.pk)
    for absent in (ben, eve):
        with pytest.raises(MemberNotFound):
            memberships.change_role(by=ana, room_id=lobby.pk, user_id=str(absent.pk), role="owner")
    with pytest.raises(MemberNotFound):
        memberships.remove(by=ana, room_id=lobby.pk, user_id=str(eve.pk))


@pytest.mark.parametrize(
    "user_id", ["", "0", "-1", "1e5", "٣", "９", "+1", " 1", "1_0", "x", "9" * 30, "9" * 64, "None"]
)
def test_an_odd_user_id_names_nobody(ana: Any, lobby: Room, user_id: str) -> None:
    with pytest.raises(UserNotFound):
        memberships.add(by=ana, room_id=lobby.pk, user_id=user_id)
    with pytest.raises(UserNotFound):
        rooms.open_direct(by=ana, user_ids=[user_id])
    with pytest.raises(MemberNotFound):
        memberships.remove(by=ana, room_id=lobby.pk, user_id=user_id)


def test_another_spelling_of_an_id_names_nobody(ana: Any, ben: Any, cleo: Any, lobby: Room) -> None:
    """They reached the person that Python's int() makes of them, and so made a second direct room's key."""
    arabic = "".join(chr(0x660 + int(digit)) for digit in str(cleo.pk))
    for spelling in (arabic, f"+{cleo.pk}", f" {cleo.pk}", f"0{cleo.pk}"):
        with pytest.raises(UserNotFound):
            memberships.add(by=ana, room_id=lobby.pk, user_id=spelling)


# Direct rooms ----------------------------------------------------------------------------------------------------


def test_the_people_of_a_direct_room_never_change(ana: Any, ben: Any, cleo: Any, ana_and_ben: Room) -> None:
    place = {"by": ana, "room_id": ana_and_ben.pk}
    for act in (
        lambda: memberships.add(user_id=str(cleo.pk), **place),
        lambda: memberships.remove(user_id=str(ben.pk), **place),
        lambda: memberships.change_role(user_id=str(ben.pk), role="owner", **place),
        lambda: memberships.add(by=SITE, room_id=ana_and_ben.pk, user_id=str(cleo.pk)),
        lambda: memberships.remove(by=SITE, room_id=ana_and_ben.pk, user_id=str(ben.pk)),
    ):
        with pytest.raises(RoomForbidden):
            act()


def test_leaving_a_direct_room_hides_it_until_its_next_message(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    say(ana, ana_and_ben)
    head = fresh(ana_and_ben).head
    with published() as hints:
        memberships.leave(by=ben, room_id=ana_and_ben.pk)
        memberships.leave(by=ben, room_id=ana_and_ben.pk)
    assert [(user_id, kind) for user_id, kind, _ in moved(hints)] == [(str(ben.pk), "room.removed")]
    assert fresh(ana_and_ben).head == head, "it is nobody else's business"
    assert not reads.own_rooms(ben)[0]
    with published() as hints:
        say(ana, ana_and_ben)
        say(ana, ana_and_ben)
    assert [(user_id, kind) for user_id, kind, _ in moved(hints)] == [(str(ben.pk), "room.added")]
    assert [each.unread for each in reads.own_rooms(ben)[0]] == [3]


def test_the_other_sees_a_direct_room_from_its_first_message_on(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    assert [each.name for each in reads.own_rooms(ana)[0]] == ["ben"]
    assert not reads.own_rooms(ben)[0]
    say(ana, ana_and_ben)
    assert [each.name for each in reads.own_rooms(ben)[0]] == ["ana"]


def test_opening_a_hidden_direct_room_brings_it_back_for_the_opener_alone(
    ana: Any, ben: Any, ana_and_ben: Room
) -> None:
    memberships.leave(by=ana, room_id=ana_and_ben.pk)
    with published() as hints:
        assert rooms.open_direct(by=ana, user_ids=[str(ben.pk)]) == ana_and_ben
    assert [(user_id, kind) for user_id, kind, _ in moved(hints)] == [(str(ana.pk), "room.added")]
    assert not reads.own_rooms(ben)[0]


# Accounts that end -----------------------------------------------------------------------------------------------


def test_a_deactivated_person_neither_acts_nor_is_added(ana: Any, ben: Any, cleo: Any, lobby: Room) -> None:
    cleo.is_active = ben.is_active = False
    cleo.save()
    ben.save()
    with pytest.raises(UserNotFound):
        memberships.add(by=ana, room_id=lobby.pk, user_id=str(cleo.pk))
    with pytest.raises(UserNotFound):
        rooms.open_direct(by=ana, user_ids=[str(cleo.pk)])
    with pytest.raises(RoomNotFound):
        memberships.leave(by=ben, room_id=lobby.pk)
    with pytest.raises(RoomForbidden):
        rooms.open_direct(by=ben, user_ids=[str(ana.pk)])
    with pytest.raises(RoomForbidden):
        rooms.create(by=ben, name="Mine")


def test_the_site_may_add_a_deactivated_person(ana: Any, cleo: Any, lobby: Room) -> None:
    """Telling them of their new room failed, and with it the whole call."""
    cleo.is_active = False
    cleo.save()
    with published() as hints:
        memberships.add(by=SITE, room_id=lobby.pk, user_id=str(cleo.pk))
    assert kinds(hints, lobby) == ["MemberJoined"]
    assert not moved(hints)
    room = rooms.create(by=ana, name="With cleo", user_ids=[str(cleo.pk), str(cleo.pk)], invited_by=SITE)
    assert fresh(room).member_count == 2


def test_a_message_reaches_a_direct_room_whose_other_side_is_deactivated(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    ben.is_active = False
    ben.save()
    assert say(ana, ana_and_ben).number == 1
    ben.is_active = True
    ben.save()
    assert [each.unread for each in reads.own_rooms(ben)[0]] == [1]


def test_a_deleted_account_leaves_messages_without_an_author_and_tombstones_of_memberships(
    ana: Any, ben: Any, cleo: Any, lobby: Room, staff: Room, ana_and_ben: Room
) -> None:
    user_id = str(ben.pk)
    theirs, other = said(ben, lobby, "@ana"), said(ana, lobby, "@ben hello")
    reactions.add(by=ben, message_id=other.pk, emoji="👍")
    say(ben, ana_and_ben)
    cursor = fresh(lobby).head
    with published() as hints:
        ben.delete()

    assert fresh(theirs).author is None
    assert fresh(theirs).body == "@ana"
    assert fresh(lobby).member_count == 1
    (page,) = [changes.page(ana, lobby.pk, cursor)]
    assert page
    (left,) = page.as_event(str(lobby.pk)).members
    assert (left.user.id, left.user.name, left.left_at is None) == (user_id, "", False)
    assert kinds(hints, lobby) == ["MessageChanged", "MemberLeft"], "the reaction goes too"
    assert fresh(other).reactions == []
    assert kinds(hints, staff) == kinds(hints, ana_and_ben) == ["MemberLeft"]
    for room in (lobby, staff, ana_and_ben):
        check_log(room)

    # And nothing that looks at them later falls over.
    assert reads.history(ana, lobby.pk).messages[0].author is None
    assert [each.user.name for each in reads.members(ana, lobby.pk).members] == ["ana"]
    assert {each.name for each in reads.own_rooms(ana)[0]} == {"Lobby", "Staff", "Deleted account"}
    assert changes.as_events(changes.for_feed(lobby.pk, 0), 0)
    memberships.remove(by=ana, room_id=lobby.pk, user_id=user_id)
    with pytest.raises(MemberNotFound):
        memberships.change_role(by=ana, room_id=lobby.pk, user_id=user_id, role="owner")
    with pytest.raises(RoomForbidden):
        say(ana, ana_and_ben)
    reactions.add(by=ana, message_id=other.pk, emoji="👍")
    assert fresh(other).reactions == [{"emoji": "👍", "count": 1, "users": [str(ana.pk)]}]
    memberships.join(by=cleo, room_id=lobby.pk)
    memberships.leave(by=ana, room_id=lobby.pk)
    assert roles(lobby) == {"cleo": "owner"}


def test_a_deleted_owner_hands_the_room_on(ana: Any, ben: Any, lobby: Room) -> None:
    ana.delete()
    assert roles(lobby) == {"ben": "owner"}
    check_log(lobby)


def test_people_deleted_in_bulk_leave_the_same_tombstones(ana: Any, ben: Any, lobby: Room) -> None:
    message = said(ben, lobby)
    type(ben).objects.filter(pk__in=[ana.pk, ben.pk]).delete()
    assert fresh(lobby).member_count == 0
    assert Message.objects.get().author is None
    assert fresh(message).body == "hello"
    check_log(lobby)


def test_a_deletion_that_is_rolled_back_leaves_everybody_in_place(ana: Any, ben: Any, lobby: Room) -> None:
    with published() as hints, transaction.atomic():
        type(ben).objects.get(pk=ben.pk).delete()
        transaction.set_rollback(True)
    assert not hints
    assert roles(lobby) == {"ana": "owner", "ben": "member"}


def test_the_site_gives_roles_but_keeps_an_owner(ana: Any, ben: Any, cleo: Any, lobby: Room, ana_and_ben: Room) -> None:
    with pytest.raises(LastOwner):
        memberships.change_role(by=SITE, room_id=lobby.pk, user_id=str(ana.pk), role="member")
    with published() as hints:
        for _ in range(2):
            memberships.change_role(by=SITE, room_id=lobby.pk, user_id=str(ben.pk), role="owner")
        memberships.change_role(by=SITE, room_id=lobby.pk, user_id=str(ana.pk), role="member")
    assert [(each.member.user.name, each.member.role) for each in events_in(hints, lobby)] == [
        ("ben", "owner"),
        ("ana", "member"),
    ]
    with pytest.raises(MemberNotFound):
        memberships.change_role(by=SITE, room_id=lobby.pk, user_id=str(cleo.pk), role="owner")
    with pytest.raises(RoomForbidden):
        memberships.change_role(by=SITE, room_id=ana_and_ben.pk, user_id=str(ben.pk), role="owner")
    with pytest.raises(CommandInvalid):
        memberships.change_role(by=SITE, room_id=lobby.pk, user_id=str(ben.pk), role="king")
    check_log(lobby)


def test_a_last_owner_removed_by_the_site_is_succeeded(ana: Any, ben: Any, lobby: Room) -> None:
    with published() as hints:
        memberships.remove(by=SITE, room_id=lobby.pk, user_id=str(ana.pk))
    assert [type(each).__name__ for each in events_in(hints, lobby)] == ["MemberChanged", "MemberLeft"]
    assert Membership.objects.get(room=lobby, user=ben).role == "owner"
    check_log(lobby)


def test_a_person_added_to_a_room_while_their_account_is_deleted_does_not_stay_in_it(
    transactional_db: None, ana: Any, lobby: Room, cleo: Any
) -> None:
    end_all, ended = memberships.end_all, threading.Event()

    def while_somebody_adds_her(**options: Any) -> None:
        end_all(**options)
        if not ended.is_set():
            ended.set()
            added.join(0.7)  # SQLite lets the other one write only after the commit

    her = fresh(cleo)
    added = in_thread(lambda: ended.wait(5) and memberships.add(by=SITE, room_id=lobby.pk, user_id=str(her.pk)))
    with patch.object(memberships, "end_all", while_somebody_adds_her):
        cleo.delete()
    added.join(30)
    assert not Membership.objects.present().filter(user=None).exists()
    check_log(lobby)
