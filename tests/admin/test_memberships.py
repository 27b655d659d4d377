"""Memberships and tokens in the admin."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client

from chat.access import identity
from chat.access.policy import SITE
from chat.live.hints import Recheck, RoomsMoved
from chat.models import Membership, Room, Token
from chat.services import memberships, rooms, tokens
from tests.admin.pages import act, said, submit, url
from tests.cast import events_in, fresh, published
from tests.services.log import check_log


def of(person: Any, room: Room) -> Membership:
    return Membership.objects.get(user=person, room=room)


def rows(client: Client, kind: str, query: str) -> list[Any]:
    return list(client.get(f"{url(kind, 'changelist')}?{query}").context["cl"].result_list)


def test_adding_a_person_is_published_and_logged(olga: Client, staff: Room, cleo: Any) -> None:
    with published() as hints:
        done = submit(olga, url("membership", "add"), room=staff.pk, user=cleo.pk, role="moderator")
    assert done.status_code == 302
    (event,) = events_in(hints, staff)
    assert (event.member.user.name, event.member.role) == ("cleo", "moderator")
    assert [each.user_id for each in hints if isinstance(each, RoomsMoved)] == [str(cleo.pk)]
    assert LogEntry.objects.get().object_id == str(of(cleo, staff).pk)
    check_log(staff)


def test_a_person_who_cannot_be_added_is_an_error_at_the_field(
    olga: Client, staff: Room, ana_and_ben: Room, ben: Any, cleo: Any
) -> None:
    path = url("membership", "add")
    with published() as hints:
        for room, user, field in ((staff, ben, "user"), (ana_and_ben, cleo, "room")):
            page = submit(olga, path, room=room.pk, user=user.pk, role="member")
            assert list(page.context["adminform"].form.errors) == [field]
        page = submit(olga, path, room=staff.pk, user="999999", role="king")
        assert set(page.context["adminform"].form.errors) == {"user", "role"}
    assert hints == []


def test_a_changed_role_is_published_but_the_last_owner_cannot_be_demoted(
    olga: Client, lobby: Room, ana: Any, ben: Any
) -> None:
    with published() as hints:
        submit(olga, url("membership", "change", of(ben, lobby).pk), role="moderator")
    assert events_in(hints, lobby)[0].member.role == "moderator"
    with published() as hints:
        done = submit(olga, url("membership", "change", of(ana, lobby).pk), role="member")
    assert "no owner left" in said(done)[0]
    assert hints == []
    assert of(ana, lobby).role == "owner"
    assert LogEntry.objects.count() == 1
    check_log(lobby)


def test_the_delete_button_ends_the_membership_and_keeps_its_row(olga: Client, lobby: Room, ben: Any) -> None:
    path = url("membership", "delete", of(ben, lobby).pk)
    assert "removed from the room at once" in olga.get(path).content.decode()
    with published() as hints:
        olga.post(path, {"post": "yes"})
    assert events_in(hints, lobby)[0].member.left_at
    assert [each.user_id for each in hints if isinstance(each, RoomsMoved)] == [str(ben.pk)]
    assert of(ben, lobby).left_at
    assert olga.post(path, {"post": "yes"}).status_code == 403
    assert 'name="role"' not in olga.get(url("membership", "change", of(ben, lobby).pk)).content.decode()
    check_log(lobby)


def test_several_members_are_removed_at_once_but_not_from_direct_rooms(
    olga: Client, lobby: Room, staff: Room, ana_and_ben: Room, ben: Any
) -> None:
    chosen = [of(ben, room) for room in (staff, lobby, ana_and_ben)]
    with published() as hints:
        done = act(olga, "membership", "delete_selected", chosen, post="yes")
    assert said(done) == ["2 memberships deleted."]
    assert [len(events_in(hints, room)) for room in (staff, lobby, ana_and_ben)] == [1, 1, 0]
    assert [of(ben, room).is_present for room in (staff, lobby, ana_and_ben)] == [False, False, True]


def test_djangos_permissions_are_enforced(clerk: Callable[..., Client], lobby: Room, ben: Any, cleo: Any) -> None:
    viewer = clerk("view_membership")
    mine = of(ben, lobby)
    with published() as hints:
        assert viewer.post(url("membership", "add"), {"room": lobby.pk, "user": cleo.pk}).status_code == 403
        assert viewer.post(url("membership", "change", mine.pk), {"role": "owner"}).status_code == 403
        assert viewer.post(url("membership", "delete", mine.pk), {"post": "yes"}).status_code == 403
        act(viewer, "membership", "delete_selected", [mine], post="yes")
    assert hints == []


def test_the_list_can_be_filtered(olga: Client, lobby: Room, staff: Room, ana: Any, ben: Any) -> None:
    memberships.remove(by=SITE, room_id=staff.pk, user_id=str(ben.pk))
    for query, found in {
        "room=lobby": [of(ben, lobby), of(ana, lobby)],
        "person=ben": [of(ben, staff), of(ben, lobby)],
        "presence=left": [of(ben, staff)],
        f"presence=in&role=owner&room={staff.pk}": [of(ana, staff)],
    }.items():
        assert rows(olga, "membership", query) == found, query


def test_the_number_of_queries_does_not_grow_with_the_number_of_people(
    olga: Client, lobby: Room, make_person: Any, django_assert_num_queries: Any
) -> None:
    for n in range(5):
        memberships.add(by=SITE, room_id=lobby.pk, user_id=str(make_person(f"p{n}").pk))
    with django_assert_num_queries(5):  # session, user, count, page, people of direct rooms
        olga.get(url("membership", "changelist"))


def test_a_person_can_be_searched_for_if_the_hosts_user_admin_allows_it(olga: Client, monkeypatch: Any) -> None:
    people = admin.site._registry[get_user_model()]
    for searchable, widget in ((("username",), "admin-autocomplete"), ((), "vForeignKeyRawIdAdminField")):
        monkeypatch.setattr(people, "search_fields", searchable)
        field = olga.get(url("membership", "add")).context["adminform"].form["user"]
        assert widget in str(field)


def test_a_room_can_be_searched_for(olga: Client, lobby: Room, ana: Any) -> None:
    for n in range(3):
        rooms.create(by=ana, name=f"Other {n}")
    query = {"term": "lob", "app_label": "chat", "model_name": "membership", "field_name": "room"}
    found = olga.get("/backstage/autocomplete/", query).json()
    assert found["results"] == [{"id": str(lobby.pk), "text": "Lobby"}]


# Tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["page", "action", "delete", "delete_selected"])
def test_ending_a_token_also_closes_its_sockets(olga: Client, ana: Any, way: str) -> None:
    secret = tokens.issue(by=ana, user=ana, name="bot")
    token = Token.objects.get()
    assert identity.from_token(secret)
    with published() as hints:
        match way:
            case "page":
                submit(olga, url("token", "change", token.pk), revoke="on")
            case "action":
                act(olga, "token", "revoke", [token])
            case "delete":
                olga.post(url("token", "delete", token.pk), {"post": "yes"})
            case "delete_selected":
                act(olga, "token", "delete_selected", [token], post="yes")
    assert hints == [Recheck(str(ana.pk))]
    assert identity.from_token(secret) is None
    assert Token.objects.filter(pk=token.pk).exists() == (way in ("page", "action"))
    assert LogEntry.objects.count() == 1


def test_no_page_shows_a_token_or_its_hash(olga: Client, ana: Any) -> None:
    secret = tokens.issue(by=ana, user=ana, name="bot")
    token = Token.objects.get()
    for path in (url("token", "changelist"), url("token", "change", token.pk), url("token", "delete", token.pk)):
        page = olga.get(path).content.decode()
        assert "bot" in page
        assert secret not in page
        assert token.digest not in page
    assert olga.get(url("token", "add")).status_code == 403
    with published() as hints:
        submit(olga, url("token", "change", token.pk))
    assert hints == []
    assert fresh(token).revoked_at is None


def test_tokens_are_filtered_by_state_and_person(olga: Client, ana: Any, ben: Any) -> None:
    for person in (ana, ben):
        tokens.issue(by=person, user=person)
    mine, his = Token.objects.order_by("pk")
    tokens.revoke(by=ben, user=ben, token_id=his.pk)
    for query, found in {"state=valid": [mine], "state=ended": [his], "person=ana": [mine]}.items():
        assert rows(olga, "token", query) == found


def test_an_account_with_tokens_can_be_deleted_in_the_hosts_admin(olga: Client, lobby: Room, ana: Any) -> None:
    tokens.issue(by=ana, user=ana)
    page = olga.get(f"/backstage/auth/user/{ana.pk}/delete/")
    if page.status_code == 200:  # unless the site has pages of its own for that
        assert not page.context["perms_lacking"]
        assert not page.context["protected"]
