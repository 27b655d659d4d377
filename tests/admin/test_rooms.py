"""Rooms in the admin: every change takes a seq and is published, or the page says why not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from chat.access.policy import SITE
from chat.live.hints import CompareRoom, RoomsMoved
from chat.models import Membership, Message, Room
from chat.services import rooms
from tests.admin.pages import act, said, submit, url
from tests.cast import events_in, fresh, published
from tests.cast import said as said_by
from tests.services.log import check_log

ROLE, REMOVE = "memberships-{}-role", "memberships-{}-DELETE"


def test_a_rename_is_one_change_that_is_published_and_logged(olga: Client, lobby: Room) -> None:
    with published() as hints:
        done = submit(olga, url("room", "change", lobby.pk), name="Hall", topic="For  all", archived="on")
    assert done.status_code == 302
    (event,) = events_in(hints, lobby)
    assert (event.state.name, event.state.topic, event.state.archived) == ("Hall", "For all", True)
    check_log(lobby)
    assert LogEntry.objects.get().get_change_message() == "Changed Name, Topic and Archived."


def test_saving_an_unchanged_room_changes_nothing(olga: Client, lobby: Room, ana_and_ben: Room) -> None:
    with published() as hints:
        for room in (lobby, ana_and_ben):
            assert submit(olga, url("room", "change", room.pk)).status_code == 302
    assert hints == []


def test_an_archived_room_can_be_renamed_here(olga: Client, lobby: Room) -> None:
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    submit(olga, url("room", "change", lobby.pk), name="Hall")
    assert (fresh(lobby).name, fresh(lobby).archived) == ("Hall", True)


@pytest.mark.parametrize("wanted", [{"name": " "}, {"name": "x" * 101}, {"kind": "direct"}, {"topic": "x" * 501}])
def test_an_invalid_value_is_an_error_at_its_field(olga: Client, lobby: Room, wanted: dict[str, str]) -> None:
    with published() as hints:
        page = submit(olga, url("room", "change", lobby.pk), **wanted)
    assert page.status_code == 200
    assert list(page.context["adminform"].form.errors) == list(wanted)
    assert hints == []


def test_every_process_checks_a_room_again_when_it_is_made_private(olga: Client, lobby: Room) -> None:
    with published() as hints:
        submit(olga, url("room", "change", lobby.pk), kind="private")
    assert hints == [CompareRoom(lobby.pk)]
    row = fresh(lobby)
    assert (row.kind, row.private_seq, row.changed_seq) == ("private", row.head, row.head)
    check_log(lobby)


def test_a_new_room_belongs_to_its_maker(olga: Client) -> None:
    with published() as hints:
        submit(olga, url("room", "add"), name="New", topic="", kind="private")
    room = Room.objects.get()
    assert room.kind == "private"
    assert [each.member.role for each in events_in(hints, room)] == ["owner"]
    assert LogEntry.objects.get().object_id == str(room.pk)


# Members on the room's page --------------------------------------------------------------------------------------


def test_members_are_added_changed_and_removed_on_the_page_of_their_room(
    olga: Client, lobby: Room, ana: Any, ben: Any, cleo: Any
) -> None:
    new = {"memberships-2-TOTAL_FORMS": "1", "memberships-2-0-user": cleo.pk, "memberships-2-0-role": "moderator"}
    with published() as hints:
        done = submit(olga, url("room", "change", lobby.pk), **{ROLE.format(1): "owner", REMOVE.format(0): "on"}, **new)
    assert done.status_code == 302, done.context["errors"]
    told = [(each.__class__.__name__, each.member.user.name) for each in events_in(hints, lobby)]
    assert told == [("MemberJoined", "cleo"), ("MemberChanged", "ben"), ("MemberLeft", "ana")]
    assert {each.user_id for each in hints if isinstance(each, RoomsMoved)} == {str(ana.pk), str(cleo.pk)}
    present = Membership.objects.present().filter(room=lobby).order_by("pk")
    assert [(each.user, each.role) for each in present] == [(ben, "owner"), (cleo, "moderator")]
    check_log(lobby)


def test_the_last_owner_cannot_be_demoted_but_is_replaced_when_removed(olga: Client, lobby: Room, ben: Any) -> None:
    with published() as hints:
        done = submit(olga, url("room", "change", lobby.pk), name="Hall", **{ROLE.format(0): "member"})
    assert "no owner left" in said(done)[0]
    assert hints == []
    assert fresh(lobby).name == "Lobby"
    submit(olga, url("room", "change", lobby.pk), **{REMOVE.format(0): "on"})
    assert Membership.objects.get(room=lobby, user=ben).role == "owner"
    check_log(lobby)


def test_a_member_or_a_deactivated_person_cannot_be_added(
    olga: Client, lobby: Room, ben: Any, make_person: Any
) -> None:
    gone = make_person("gone", is_active=False)
    with published() as hints:
        for person in (ben, gone):
            new = {"memberships-2-TOTAL_FORMS": "1", "memberships-2-0-user": person.pk}
            page = submit(olga, url("room", "change", lobby.pk), **new, **{"memberships-2-0-role": "member"})
            assert page.status_code == 200
            assert page.context["errors"]
    assert hints == []


def test_the_people_of_a_direct_room_are_shown_but_cannot_be_changed(olga: Client, ana_and_ben: Room) -> None:
    page = olga.get(url("room", "change", ana_and_ben.pk)).content.decode()
    assert "ana" in page
    assert "memberships-0-role" not in page
    assert 'name="name"' not in page


# Deleting --------------------------------------------------------------------------------------------------------


def test_the_delete_page_says_what_happens_without_loading_the_messages(
    olga: Client, lobby: Room, ana: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        said_by(ana, lobby)
    with django_assert_max_num_queries(8):
        page = olga.get(url("room", "delete", lobby.pk)).content.decode()
    assert "deleted for good" in page
    assert "#1" not in page


def test_a_deleted_room_is_gone_with_all_its_messages(olga: Client, lobby: Room, staff: Room, ana: Any) -> None:
    said_by(ana, lobby, "@ben hello")
    kept = said_by(ana, staff)
    with published() as hints:
        olga.post(url("room", "delete", lobby.pk), {"post": "yes"})
    assert CompareRoom(lobby.pk) in hints
    assert len([each for each in hints if isinstance(each, RoomsMoved)]) == 2
    assert list(Message.objects.all()) == [kept]
    assert not Room.objects.filter(pk=lobby.pk).exists()
    check_log(staff)
    entry = LogEntry.objects.get()
    assert (entry.object_repr, entry.is_deletion()) == ("Lobby", True)


def test_several_rooms_can_be_archived_reopened_and_deleted_at_once(olga: Client, lobby: Room, staff: Room) -> None:
    for action, archived, told in (("archive", True, "2 rooms archived."), ("reopen", False, "2 rooms reopened.")):
        with published() as hints:
            done = act(olga, "room", action, [lobby, staff])
        assert [events_in(hints, each)[0].state.archived for each in (lobby, staff)] == [archived] * 2
        assert said(done)[-1] == told
    page = act(olga, "room", "delete_selected", [lobby, staff])
    assert "deleted for good" in page.content.decode()
    assert Room.objects.count() == 2
    with published() as hints:
        act(olga, "room", "delete_selected", [lobby, staff], post="yes")
    assert {each.room_id for each in hints if isinstance(each, CompareRoom)} == {lobby.pk, staff.pk}
    assert not Room.objects.exists()
    assert LogEntry.objects.count() == 6


# Permissions -----------------------------------------------------------------------------------------------------


def test_djangos_permissions_are_enforced(clerk: Callable[..., Client], lobby: Room) -> None:
    viewer = clerk("view_room")
    assert viewer.get(url("room", "changelist")).status_code == 200
    with published() as hints:
        assert viewer.post(url("room", "change", lobby.pk), {"name": "Mine"}).status_code == 403
        assert viewer.post(url("room", "delete", lobby.pk), {"post": "yes"}).status_code == 403
        for action in ("archive", "delete_selected"):
            act(viewer, "room", action, [lobby], post="yes")
    assert hints == []
    assert not fresh(lobby).archived


def test_the_permission_to_change_rooms_does_not_allow_changing_members(
    clerk: Callable[..., Client], lobby: Room
) -> None:
    editor = clerk("view_room", "change_room", "view_membership")
    page = editor.get(url("room", "change", lobby.pk)).content.decode()
    assert "memberships-0-role" not in page
    with published() as hints:
        submit(editor, url("room", "change", lobby.pk), name="Hall", **{REMOVE.format(0): "on"})
    assert len(events_in(hints, lobby)) == 1
    assert Membership.objects.present().filter(room=lobby).count() == 2


# Lists -----------------------------------------------------------------------------------------------------------


def test_the_list_finds_and_names_rooms(olga: Client, lobby: Room, staff: Room, ana_and_ben: Room) -> None:
    page = olga.get(url("room", "changelist")).content.decode()
    assert "ana, ben" in page
    for query, found in (("q=lob", [lobby]), ("kind__exact=direct", [ana_and_ben]), ("activity=never", None)):
        rows = list(olga.get(f"{url('room', 'changelist')}?{query}").context["cl"].result_list)
        assert rows == (found or [ana_and_ben, staff, lobby]), query


def test_the_number_of_queries_does_not_grow_with_the_number_of_rooms(
    olga: Client, ana: Any, ben: Any, django_assert_num_queries: Any
) -> None:
    for n in range(5):
        rooms.create(by=ana, name=f"Room {n}", user_ids=[str(ben.pk)], invited_by=SITE)
    with django_assert_num_queries(5):  # session, user, count, page, people of direct rooms
        olga.get(url("room", "changelist"))


def test_staff_who_may_not_see_messages_neither_open_a_private_room_nor_bring_anybody_into_one(
    clerk: Callable[..., Client], staff: Room, lobby: Room, cleo: Any
) -> None:
    blind = clerk("view_room", "change_room", "view_membership", "add_membership", "change_membership")
    page = blind.get(url("room", "change", staff.pk)).content.decode()
    assert 'name="kind"' not in page and "new members" not in page.lower()
    submit(blind, url("room", "change", staff.pk), name="Crew", kind="open")
    assert (fresh(staff).name, fresh(staff).kind) == ("Crew", "private")
    forged = {"memberships-2-TOTAL_FORMS": "1", "memberships-2-INITIAL_FORMS": "0", "memberships-2-0-user": cleo.pk}
    submit(blind, url("room", "change", staff.pk), **forged)
    refused = submit(blind, url("membership", "add"), room=staff.pk, user=cleo.pk, role="member")
    assert list(refused.context["adminform"].form.errors) == ["room"]
    assert not Membership.objects.filter(user=cleo, room=staff).exists()
    assert submit(blind, url("membership", "add"), room=lobby.pk, user=cleo.pk, role="member").status_code == 302


def test_staff_who_may_see_messages_may_do_both(clerk: Callable[..., Client], staff: Room, cleo: Any) -> None:
    reader = clerk("view_room", "change_room", "view_membership", "add_membership", "view_message")
    assert submit(reader, url("membership", "add"), room=staff.pk, user=cleo.pk, role="member").status_code == 302
    submit(reader, url("room", "change", staff.pk), kind="open")
    assert fresh(staff).kind == "open"
