# ruff: noqa: F811
"""chat.signals: a site's own code learns of each change in the chat, and the chat does not wait for it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.db.models import QuerySet
from django.dispatch import Signal
from django.utils import timezone

from chat import api, signals
from chat.models import Message, Room
from tests.cast import ana, ben, cleo, eve, lobby, make_person, staff  # noqa: F401  (fixtures)

pytestmark = pytest.mark.django_db(transaction=True)
SIGNALS = {
    "posted": signals.message_posted,
    "changed": signals.message_changed,
    "joined": signals.member_joined,
    "left": signals.member_left,
    "room": signals.room_changed,
}


@contextmanager
def receiving(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signals.wait_until_told()
        signal.disconnect(receiver)


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any]]]:
    """The signals that were sent, in order: the name and the row of each."""
    told: list[tuple[str, Any]] = []
    receivers = {
        name: lambda signal, sender, name=name, **row: told.append((name, next(iter(row.values())))) for name in SIGNALS
    }
    for name, signal in SIGNALS.items():
        signal.connect(receivers[name])
    yield told
    for name, signal in SIGNALS.items():
        signal.disconnect(receivers[name])


def test_each_durable_change_sends_its_signal_in_order(
    lobby: Room, ana: Any, cleo: Any, heard: list[tuple[str, Any]]
) -> None:
    api.add_member(lobby, cleo)
    posted = api.post(lobby, cleo, "hello")
    api.edit(posted.id, cleo, "hello, all")
    api.delete(posted.id, ana)
    api.archive_room(lobby)
    api.remove_member(lobby, cleo)
    assert signals.wait_until_told()
    assert [name for name, _ in heard] == ["joined", "posted", "changed", "changed", "room", "left"]
    rows = dict(heard)
    assert (rows["joined"].user, rows["joined"].room, rows["left"].user) == (cleo, lobby, cleo)
    assert (rows["posted"].author, rows["posted"].room, str(rows["posted"].pk)) == (cleo, lobby, posted.id)
    assert rows["changed"].is_deleted
    assert rows["room"].archived


def test_rows_for_signals_are_loaded_with_named_relations_only(
    lobby: Room, ana: Any, heard: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = QuerySet.select_related

    def select_related(self: Any, *fields: Any) -> Any:
        assert fields, "Django 6.1 deprecates all relations at once"
        return named(self, *fields)

    monkeypatch.setattr(QuerySet, "select_related", select_related)
    api.archive_room(lobby)
    assert signals.wait_until_told()
    assert [name for name, _ in heard] == ["room"]


def test_a_change_that_is_rolled_back_sends_no_signal(lobby: Room, ana: Any, heard: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        api.post(lobby, ana, "never")
        transaction.set_rollback(True)
    with transaction.atomic():
        api.post(lobby, ana, "kept")
        assert signals.wait_until_told()
        assert heard == [], "told before the commit"
    assert signals.wait_until_told()
    assert [(name, row.body) for name, row in heard] == [("posted", "kept")]


def test_a_repeated_post_sends_one_signal(lobby: Room, ana: Any, heard: list[tuple[str, Any]]) -> None:
    once = uuid4()
    for _ in range(3):
        api.post(lobby, ana, "hello", client_id=once)
    assert signals.wait_until_told()
    assert len(heard) == 1


def test_imported_messages_send_no_signal(lobby: Room, ana: Any, heard: list[tuple[str, Any]]) -> None:
    """A receiver that mails mentioned people must not do so for old messages, neither for all nor for some of them."""
    then = timezone.now() - timedelta(days=400)
    past = [api.PastMessage(client_id=uuid4(), author=ana, body="@ben hello", created_at=then) for _ in range(30)]
    assert api.import_messages(lobby, past[:1]).stored == 1
    assert api.import_messages(lobby, past).stored == 29
    api.post(lobby, ana, "Here we are.")
    assert signals.wait_until_told()
    assert [(name, row.body) for name, row in heard] == [("posted", "Here we are.")]


def test_a_slow_receiver_does_not_delay_posts(lobby: Room, ana: Any) -> None:
    may_go_on, threads = threading.Event(), []

    def slow(**_: Any) -> None:
        threads.append(threading.current_thread().name)
        assert may_go_on.wait(10)

    with receiving(signals.message_posted, slow):
        numbers = [api.post(lobby, ana, f"message {n}").number for n in range(3)]
        assert numbers == [1, 2, 3], "posting waited for the receiver"
        assert not signals.wait_until_told(0.05)
        may_go_on.set()
        assert signals.wait_until_told()
    assert threads == ["chat-signals"] * 3


def test_a_failing_receiver_does_not_stop_the_others(lobby: Room, ana: Any, heard: list[tuple[str, Any]]) -> None:
    def broken(**_: Any) -> None:
        raise ZeroDivisionError

    with receiving(signals.message_posted, broken):
        for n in range(2):
            api.post(lobby, ana, f"message {n}")
        assert signals.wait_until_told()
    assert len(heard) == 2


def test_a_receiver_may_use_the_database_and_the_chat(lobby: Room, ana: Any, ben: Any) -> None:
    def answer(message: Message, **_: Any) -> None:
        if message.author == ana:
            api.post(message.room, get_user_model().objects.get(pk=ben.pk), f"re: {message.body}")

    with receiving(signals.message_posted, answer):
        api.post(lobby, ana, "hello")
        # This also waits for the answer's own signal, which was queued before the first one was done.
        assert signals.wait_until_told()
    assert list(Message.objects.order_by("number").values_list("body", flat=True)) == ["hello", "re: hello"]


def test_without_receivers_nothing_waits_for_the_commit(lobby: Room, ana: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "on_commit", lambda _: pytest.fail("something waits for the commit"))
    api.post(lobby, ana, "hello")


@pytest.fixture(autouse=True)
def _closed_connections() -> Iterator[None]:
    """Wait until the receivers' thread is idle, as it then closes its connection: while one is open, the test database
    can't be dropped."""
    yield
    assert signals.wait_until_told()
    connections.close_all()


FORK = """
import os, threading
import django; django.setup()
from chat import signals

gate = threading.Event()
class News:
    def __init__(self, name, gate=None): self.name, self.gate = name, gate
    def tell(self):
        if self.gate: self.gate.wait()
        os.write(1, self.name.encode() + b"\\n")

signals._herald.hand_in([News("parent", gate), News("parent", gate)])
if not (child := os.fork()):
    signals._herald.hand_in([News("child")])
    os._exit(not signals.wait_until_told(10))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
gate.set()
signals.wait_until_told(10)
"""


def test_a_forked_process_sends_its_own_signals_and_not_those_queued_in_its_parent():
    """Celery and ``gunicorn --preload`` fork like this, perhaps while signals are queued."""
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    ran = subprocess.run([sys.executable, "-c", FORK], env=env, capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["child", "parent", "parent"], ran.stderr
