"""Messages in the admin: they are edited and removed as in the chat itself, and can be found among millions."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from chat.access.policy import SITE
from chat.admin import lists
from chat.models import Mention, Message, Reaction, Room
from chat.services import messages, reactions, rooms
from tests.admin.pages import act, said, submit, url
from tests.cast import events_in, fresh, published
from tests.cast import said as said_by
from tests.services.log import check_log


def rows(client: Client, query: str = "") -> list[Message]:
    page = client.get(f"{url('message', 'changelist')}?{query}")
    assert page.status_code == 200, query
    return list(page.context["cl"].result_list)


def test_an_edit_is_rendered_and_published_even_in_an_archived_room(
    olga: Client, lobby: Room, ana: Any, ben: Any
) -> None:
    message = said_by(ana, lobby, "soop\n\nfor all")
    rooms.update(by=SITE, room_id=lobby.pk, archived=True)
    with published() as hints:
        done = submit(olga, url("message", "change", message.pk), body="**soup**\r\n@ben")
    assert done.status_code == 302
    (event,) = events_in(hints, lobby)
    assert event.message.body == "**soup**\n@ben"
    assert "<strong>soup</strong>" in event.message.html
    assert event.message.mentions == [str(ben.pk)]
    assert event.message.edited_at
    check_log(lobby)
    assert LogEntry.objects.get().get_change_message() == "Changed Text."


def test_saving_an_unchanged_text_is_no_edit(olga: Client, lobby: Room, ana: Any) -> None:
    message = said_by(ana, lobby, "two\nlines")
    with published() as hints:
        submit(olga, url("message", "change", message.pk))
    assert hints == []
    assert fresh(message).edited_at is None


@pytest.mark.parametrize("body", ["", "  \r\n ", "x" * 10_001, "a\x00b"])
def test_a_text_that_cannot_be_posted_is_an_error_at_the_field(olga: Client, lobby: Room, ana: Any, body: str) -> None:
    message = said_by(ana, lobby)
    with published() as hints:
        page = submit(olga, url("message", "change", message.pk), body=body)
    assert "body" in page.context["adminform"].form.errors
    assert hints == []


def test_the_delete_button_leaves_a_tombstone(olga: Client, lobby: Room, ana: Any, ben: Any) -> None:
    message = said_by(ana, lobby, "@ben look")
    reactions.add(by=ben, message_id=message.pk, emoji="🎉")
    path = url("message", "delete", message.pk)
    assert "An empty entry stays" in olga.get(path).content.decode()
    with published() as hints:
        olga.post(path, {"post": "yes"})
    (event,) = events_in(hints, lobby)
    assert (event.message.body, event.message.html, event.message.reactions) == ("", "", [])
    assert event.message.deleted_at
    assert not Mention.objects.exists()
    assert not Reaction.objects.exists()
    check_log(lobby)
    assert LogEntry.objects.get().is_deletion()
    # A tombstone can be viewed, but neither edited nor deleted again.
    page = olga.get(url("message", "change", message.pk)).content.decode()
    assert 'name="body"' not in page
    assert olga.post(path, {"post": "yes"}).status_code == 403


def test_several_messages_are_deleted_at_once_and_each_deletion_is_published(
    olga: Client, lobby: Room, staff: Room, ana: Any
) -> None:
    said_there = [said_by(ana, room, body) for body in "ab" for room in (staff, lobby)]
    messages.delete(by=SITE, message_id=said_there[0].pk)
    assert "An empty entry stays" in act(olga, "message", "delete_selected", said_there).content.decode()
    with published() as hints:
        done = act(olga, "message", "delete_selected", said_there, post="yes")
    assert said(done) == ["3 messages deleted."]
    assert [len(events_in(hints, room)) for room in (staff, lobby)] == [1, 2]
    assert all(each.is_deleted and not each.body for each in Message.objects.all())
    for room in (staff, lobby):
        check_log(room)
    assert LogEntry.objects.count() == 3


def test_a_bulk_action_on_too_many_messages_changes_none_of_them(
    olga: Client, lobby: Room, ana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.admin.base.AT_ONCE", 2)
    said_there = [said_by(ana, lobby) for _ in range(3)]
    with published() as hints:
        done = act(olga, "message", "delete_selected", said_there, post="yes")
    assert "Choose at most 2" in said(done)[0]
    assert hints == []


def test_djangos_permissions_are_enforced(clerk: Callable[..., Client], lobby: Room, ana: Any) -> None:
    message = said_by(ana, lobby, "secret")
    viewer = clerk("view_message")
    assert 'name="body"' not in viewer.get(url("message", "change", message.pk)).content.decode()
    with published() as hints:
        assert viewer.post(url("message", "change", message.pk), {"body": "mine"}).status_code == 403
        assert viewer.post(url("message", "delete", message.pk), {"post": "yes"}).status_code == 403
        act(viewer, "message", "delete_selected", [message], post="yes")
        assert clerk().get(url("message", "changelist")).status_code == 403
        assert clerk("add_message").get(url("message", "add")).status_code == 403
    assert hints == []


def test_the_list_is_filtered_by_room_author_and_state(
    olga: Client, lobby: Room, staff: Room, ana: Any, ben: Any
) -> None:
    first, second, third = said_by(ana, lobby), said_by(ben, lobby), said_by(ana, staff)
    messages.edit(by=ana, message_id=first.pk, body="better")
    messages.delete(by=ben, message_id=second.pk)
    for query, found in {
        "": [third, second, first],
        f"room={lobby.pk}": [second, first],
        "room=lobby": [second, first],
        "room=nowhere": [],
        "person=BEN": [second],
        f"person={ana.pk}&room={staff.slug}": [third],
        "person=nobody": [],
        "state=edited": [first],
        "state=deleted": [second],
        "posted=1": [third, second, first],
        f"posted=7&state=edited&room={lobby.pk}": [first],
    }.items():
        assert rows(olga, query) == found, query


def test_a_direct_room_is_named_after_its_people(
    olga: Client, ana: Any, ana_and_ben: Room, make_person: Any, django_assert_num_queries: Any
) -> None:
    message = said_by(ana, ana_and_ben)
    for path in (
        url("message", "changelist"),
        url("message", "change", message.pk),
        url("membership", "changelist"),
        url("room", "change", ana_and_ben.pk),
    ):
        assert ">ana, ben<" in olga.get(path).content.decode(), path
    for name in ("cleo", "dan", "eve"):
        said_by(ana, rooms.open_direct(by=ana, user_ids=[str(make_person(name).pk)]))
    with django_assert_num_queries(5):
        assert ">ana, eve<" in olga.get(url("message", "changelist")).content.decode()


def test_a_time_is_short_and_names_the_year_only_if_it_is_not_this_year(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    this_year = timezone.localtime().year
    assert lists.short_moment(datetime(this_year, 7, 2, 15, 4, tzinfo=UTC)) == "3 Jul 00:04"
    assert lists.short_moment(datetime(2019, 1, 2, 0, 0, tzinfo=UTC)) == "2 Jan 2019 09:00"


def test_a_search_finds_words_in_one_room_and_a_message_by_its_number(
    olga: Client, lobby: Room, staff: Room, ana: Any
) -> None:
    soup, bread = said_by(ana, lobby, "Hot soup"), said_by(ana, lobby, "Bread")
    other = said_by(ana, staff, "Cold soup")
    assert rows(olga, "room=lobby&q=soup+hot") == [soup]
    assert rows(olga, "room=lobby&q=%232") == [bread]
    assert rows(olga, f"q={other.pk}") == [other]
    assert rows(olga, "q=soup") == []
    assert rows(olga, "q=" + "9" * 30) == []


def test_counting_and_scanning_are_bounded(
    olga: Client, lobby: Room, ana: Any, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    said_there = [said_by(ana, lobby, f"soup {n}") for n in range(8)]
    monkeypatch.setattr(lists, "LISTED_AT_MOST", 4)
    monkeypatch.setattr(lists, "SCANNED_AT_MOST", 3)
    monkeypatch.setattr("chat.admin.messages.SCANNED_AT_MOST", 3)
    monkeypatch.setattr("chat.admin.base.ChatAdmin.list_per_page", 2)
    with django_assert_num_queries(5):  # session, user, count, page, people of direct rooms
        page = olga.get(url("message", "changelist"))
    assert "4+ messages" in page.content.decode()
    assert rows(olga, "p=4") == rows(olga, "p=2") == said_there[5:3:-1], "the last page"
    assert rows(olga, "state=edited&person=ana") == []
    assert rows(olga, "room=lobby&q=soup&p=2") == [said_there[5]]
    assert rows(olga, "room=lobby&q=soup+0") == []


@pytest.mark.parametrize(
    "query", ["p=x", "p=999999999999", "p=0", "room=%00", "person=%00", "o=1", "all=", "author__id=1"]
)
def test_a_list_answers_nonsense_queries_without_an_error(olga: Client, lobby: Room, ana: Any, query: str) -> None:
    said_by(ana, lobby)
    assert olga.get(f"{url('message', 'changelist')}?{query}").status_code in (200, 302, 400)
