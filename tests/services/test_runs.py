"""Runs: a stretch of numbers has an id of its own, and a new one begins when the database may have lost changes."""

from typing import Any

import pytest
from django.db import connection

from chat.access import changes
from chat.models import DatabaseRun, Room, RoomRun, runs
from chat.services import messages, reactions, sequence
from chat.wire import protocol
from chat.wire.protocol import Cursor
from tests.services.log import check_log
from tests.services.lost_tail import lost, serve_elsewhere, stretches


def post(by: Any, room: Room, body: str = "hello") -> protocol.PostResult:
    return messages.post(by=by, room_id=room.pk, body=body)


def cursor_at_head(room: Room) -> Cursor:
    room.refresh_from_db()
    return Cursor(room.epoch, room.head, room.run)


def is_superseded(by: Any, room: Room, cursor: Cursor) -> bool:
    return changes.standings(by, {str(room.pk): cursor})[str(room.pk)].is_superseded


def test_changes_of_all_rooms_share_a_run(ana: Any, lobby: Room, staff: Room):
    post(ana, lobby)
    post(ana, staff)
    lobby.refresh_from_db()
    staff.refresh_from_db()
    assert lobby.run == staff.run == DatabaseRun.objects.get().run
    assert lobby.run_seq == staff.run_seq == 1
    assert not RoomRun.objects.exists()


def test_a_database_that_is_served_from_elsewhere_begins_a_run(ana: Any, lobby: Room):
    posted = post(ana, lobby)
    before = cursor_at_head(lobby)
    serve_elsewhere()
    reactions.add(by=ana, message_id=int(posted.id), emoji="👍")
    first, second = stretches(lobby)
    assert first == (before.run, 1, before.seq)
    assert second == (DatabaseRun.objects.get().run, before.seq + 1, before.seq + 1)
    assert first[0] != second[0]
    check_log(lobby)


def test_a_new_run_resets_nobody_who_lost_nothing(ana: Any, lobby: Room):
    post(ana, lobby)
    cursors = [cursor_at_head(lobby)]
    for _ in range(3):
        serve_elsewhere()
        post(ana, lobby)
        cursors.append(cursor_at_head(lobby))
        post(ana, lobby)
        cursors.append(cursor_at_head(lobby))
    assert len({each.run for each in cursors}) == 4
    assert not any(is_superseded(ana, lobby, each) for each in cursors)


def test_whoever_saw_what_was_lost_is_superseded_however_far_the_room_has_gone_since(ana: Any, lobby: Room):
    post(ana, lobby)
    kept = cursor_at_head(lobby)
    with lost():
        post(ana, lobby, "lost")
        saw_it = cursor_at_head(lobby)
        post(ana, lobby, "lost, too")
        saw_more = cursor_at_head(lobby)
    for at in range(5):
        post(ana, lobby, f"{at}")
        assert not is_superseded(ana, lobby, kept)
        assert is_superseded(ana, lobby, saw_it)
        assert saw_more.seq > Room.objects.get(pk=lobby.pk).head or is_superseded(ana, lobby, saw_more)
    check_log(lobby)


def test_a_second_loss_is_told_from_the_first(ana: Any, lobby: Room):
    post(ana, lobby)
    with lost():
        post(ana, lobby, "first branch")
        first = cursor_at_head(lobby)
    with lost():
        post(ana, lobby, "second branch")
        second = cursor_at_head(lobby)
    post(ana, lobby, "third branch")
    assert first.seq == second.seq == cursor_at_head(lobby).seq
    assert len({first.run, second.run, cursor_at_head(lobby).run}) == 3
    assert is_superseded(ana, lobby, first)
    assert is_superseded(ana, lobby, second)


def test_a_cursor_of_a_client_that_knows_no_runs_is_taken_as_before(ana: Any, lobby: Room):
    with lost():
        post(ana, lobby)
        old = Cursor(lobby.epoch, cursor_at_head(lobby).seq)
    post(ana, lobby)
    assert not is_superseded(ana, lobby, old)


def test_a_room_keeps_a_bounded_number_of_runs_and_older_cursors_are_superseded(
    ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sequence, "RUNS_PER_ROOM", 3)
    cursors = []
    for _ in range(6):
        serve_elsewhere()
        post(ana, lobby)
        cursors.append(cursor_at_head(lobby))
    assert len(stretches(lobby)) == 3 + 1
    assert [is_superseded(ana, lobby, each) for each in cursors] == [True, True, False, False, False, False]


def test_a_page_that_reaches_over_several_runs_names_each_where_it_begins(ana: Any, lobby: Room):
    start = cursor_at_head(lobby).seq
    for _ in range(3):
        serve_elsewhere()
        post(ana, lobby)
        post(ana, lobby)
    page = changes.for_feed(lobby.pk, start)
    assert page is not None
    events = changes.as_events(page, start)
    assert [each.run for each in events] == [run for run, *_ in stretches(lobby)[1:] for _ in range(2)]
    named = [protocol.decode_events(each.encoded)[0].run for each in events]
    assert [isinstance(each, str) for each in named] == [True, False] * 3
    assert page.reached == Room.objects.get(pk=lobby.pk).position


def test_a_run_is_found_in_one_query_for_a_transaction(
    ana: Any, lobby: Room, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
):
    post(ana, lobby)
    reads = []
    found = runs._find_or_begin
    monkeypatch.setattr(runs, "_find_or_begin", lambda db: reads.append(1) or found(db))
    post(ana, lobby)
    assert reads == [1]
    with django_assert_num_queries(1):
        found(connection)


@pytest.mark.skipif("connection.vendor != 'sqlite'")
def test_on_sqlite_a_process_never_continues_the_run_that_it_found(ana: Any, lobby: Room):
    """The file may have been put back while no process ran."""
    post(ana, lobby)
    before = cursor_at_head(lobby)
    runs._before.clear()  # as in a process that has just started
    post(ana, lobby)
    post(ana, lobby)
    assert stretches(lobby)[-1][1:] == (before.seq + 1, before.seq + 2)


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_on_postgresql_another_database_or_table_is_another_server(ana: Any, lobby: Room):
    def server() -> str:
        return str(DatabaseRun.objects.annotate(here=runs._server(connection)).get().here)

    post(ana, lobby)
    before = server()
    assert before == server()
    connection.check_constraints()  # no deferred check may wait at a TRUNCATE
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE chat_room CASCADE")
    assert server() != before
