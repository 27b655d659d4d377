"""The chat's transactions on PostgreSQL: none holds up the site for long, and a host's own are left alone."""

import os
import socket
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.db import Error, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.access.policy import SITE
from chat.models import Room
from chat.models.database import snapshot, write
from chat.models.database_errors import is_unavailable
from chat.runtime import pools
from chat.services import importing, room_deletion
from tests.cast import at_once, numbers, outcomes_of, post_of, posted, say
from tests.services.log import check_log

pytestmark = pytest.mark.django_db(transaction=True)


def waits() -> tuple[str, str]:
    """The time-outs in force on this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        idle = cursor.fetchone()[0]
        cursor.execute("SHOW lock_timeout")
        return idle, cursor.fetchone()[0]


def test_the_chats_own_transactions_are_bounded_and_reset_their_settings() -> None:
    for own in (write, snapshot):
        with own():
            assert waits() == ("3s", "4s")
        assert waits() == ("0", "0")


def test_a_hosts_transaction_keeps_the_hosts_bounds() -> None:
    with transaction.atomic():
        with write():
            assert waits() == ("0", "0")
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '7s'")
        with write(), snapshot():
            assert waits() == ("0", "7s")


def test_sweeps_and_imports_take_the_time_they_need(ana: Any, lobby: Room) -> None:
    say(ana, lobby)
    with CaptureQueriesContext(connection) as bounded:
        say(ana, lobby)
    assert any("lock_timeout" in each["sql"] for each in bounded), "the premise"
    past = importing.PastMessage(author=ana, body="hi", created_at=timezone.now(), client_id=uuid4())
    with CaptureQueriesContext(connection) as free:
        importing.import_messages(by=SITE, room_id=lobby.pk, messages=[past])
        room_deletion.delete(by=SITE, room_id=lobby.pk)
    assert any("DELETE" in each["sql"] for each in free)
    assert not any("lock_timeout" in each["sql"] for each in free)


def test_a_transaction_that_froze_with_a_rooms_lock_delays_a_post_and_no_more(
    ana: Any, lobby: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "IDLE_TRANSACTION_S": 0.5}
    locked, over = threading.Event(), threading.Event()

    def freeze() -> None:
        with write():
            Room.objects.select_for_update().get(pk=lobby.pk)
            locked.set()
            assert over.wait(30)
            Room.objects.get(pk=lobby.pk)

    def post() -> list[Any]:
        assert locked.wait(30)
        try:
            return outcomes_of([post_of(ana, lobby)])
        finally:
            over.set()

    frozen, outcomes = at_once([freeze, post])
    assert [each.number for each in posted(outcomes)] == [1]
    assert isinstance(frozen, Error)
    assert is_unavailable(frozen), "the frozen process will run its batch again"
    check_log(lobby)


def test_waiting_too_long_for_a_lock_is_a_retryable_error(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "LOCK_WAIT_S": 0.2, "WRITER_RETRY_S": 0.0}
    locked, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():  # a host's own, which has no bounds
            Room.objects.select_for_update().get(pk=lobby.pk)
            locked.set()
            assert over.wait(30)

    def post() -> list[Any]:
        assert locked.wait(30)
        try:
            return outcomes_of([post_of(ana, lobby)])
        finally:
            over.set()

    held, outcomes = at_once([hold, post])
    assert held is None
    assert [each.retry for each in outcomes] == [True]
    assert numbers(lobby) == []


@pytest.fixture
def _host_that_says_nothing() -> Iterator[None]:
    """Of how to keep connections alive; nor has it a pool, which would hand out connections made before."""
    options = connection.settings_dict["OPTIONS"]
    before = dict(options)
    connection.close()
    for name in [each for each in options if each.startswith(("keepalives", "tcp_user_timeout", "pool"))]:
        del options[name]
    yield
    connection.close()
    options.update(before)


def keep_alive() -> tuple[int, int]:
    """Of this thread's connection: whether it is on, and after how many ms unanswered data ends it."""
    with connection.cursor(), socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        return (
            wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )


@pytest.mark.usefixtures("_host_that_says_nothing")
async def test_the_chats_own_connections_notice_that_the_database_is_gone() -> None:
    pool = pools.Pool("test", lambda: 1)
    try:
        assert await pool.run(keep_alive) == (1, 10_000)
    finally:
        await pool.run(pools.close_connections)


@pytest.mark.usefixtures("_host_that_says_nothing")
def test_a_hosts_own_connections_are_left_as_they_are() -> None:
    assert keep_alive()[1] == 0


@pytest.mark.usefixtures("_host_that_says_nothing")
async def test_connection_settings_of_the_site_win() -> None:
    connection.settings_dict["OPTIONS"]["tcp_user_timeout"] = "77000"
    pool = pools.Pool("test", lambda: 1)
    try:
        assert await pool.run(keep_alive) == (1, 77_000)
    finally:
        await pool.run(pools.close_connections)
        del connection.settings_dict["OPTIONS"]["tcp_user_timeout"]
