"""The cast of the tests that run in pytest's own process, and helpers that collect what is published.

``ana`` owns the rooms, ``ben`` is in all of them, ``cleo`` in none yet, and ``eve`` is always the outsider.
``lobby`` is open, ``staff`` private, ``ana_and_ben`` direct. A test that needs real commits asks for
``transactional_db``; otherwise everything happens in one transaction that is rolled back.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.test import TestCase

from chat.access.policy import SITE
from chat.live import publisher
from chat.live.hints import Hint, RoomEvents
from chat.models import Message, Room
from chat.services import batch, memberships, messages, rooms
from chat.services.changes import Change, Job
from chat.services.posting import Post
from chat.wire import protocol
from chat.wire.protocol import PostResult

__all__ = ["ana", "ana_and_ben", "ben", "cleo", "eve", "lobby", "make_person", "staff"]


@pytest.fixture
def make_person(db: None) -> Callable[..., Any]:
    """``make_person(name, **fields)`` stores a person."""
    return person


@pytest.fixture
def ana(make_person: Callable[..., Any]) -> Any:
    return make_person("ana")


@pytest.fixture
def ben(make_person: Callable[..., Any]) -> Any:
    return make_person("ben")


@pytest.fixture
def cleo(make_person: Callable[..., Any]) -> Any:
    return make_person("cleo")


@pytest.fixture
def eve(make_person: Callable[..., Any]) -> Any:
    return make_person("eve")


@pytest.fixture
def lobby(ana: Any, ben: Any) -> Room:
    room = rooms.create(by=ana, name="Lobby")
    memberships.join(by=ben, room_id=room.pk)
    return fresh(room)


@pytest.fixture
def staff(ana: Any, ben: Any) -> Room:
    return fresh(rooms.create(by=ana, name="Staff", kind="private", user_ids=[str(ben.pk)], invited_by=SITE))


@pytest.fixture
def ana_and_ben(ana: Any, ben: Any) -> Room:
    return fresh(rooms.open_direct(by=ana, user_ids=[str(ben.pk)]))


def person(name: str, **fields: Any) -> Any:
    return get_user_model()._default_manager.create(username=name, **fields)


def say(
    author: Any, room: Room, body: str = "hello", *, client_id: UUID | None = None, **options: Any
) -> protocol.PostResult:
    reply_to = options.pop("reply_to", None)
    return messages.post(
        by=author,
        room_id=room.pk,
        body=body,
        client_id=client_id or uuid4(),
        reply_to=None if reply_to is None else int(reply_to),
        **options,
    )


def said(author: Any, room: Room, body: str = "hello", **options: Any) -> Message:
    """Post a message and return its row."""
    return Message.objects.get(pk=say(author, room, body, **options).id)


def fresh(row: Any) -> Any:
    """Return the row as it is in the database now."""
    return type(row)._default_manager.get(pk=row.pk)


def numbers(room: Room) -> list[int]:
    return list(Message.objects.filter(room=room).order_by("number").values_list("number", flat=True))


@contextmanager
def published() -> Iterator[list[Hint]]:
    """Yield the hints published inside the block, in order, once committed. In a test's own transaction, which never
    commits, the end of the block counts as the commit."""
    hints: list[Hint] = []
    with patch.object(publisher, "publish", hints.extend), TestCase.captureOnCommitCallbacks(execute=True):
        yield hints


def events_in(hints: list[Hint], room: Room) -> list[Any]:
    """The room's numbered events among the hints, as clients read them."""
    encoded = [
        event.encoded
        for hint in hints
        if isinstance(hint, RoomEvents) and hint.room_id == room.pk
        for event in hint.events
    ]
    return [each for frame in encoded for each in protocol.decode_events(frame)]


def post_of(author: Any, room: Room, body: str = "hello", **options: Any) -> Post:
    return Post(author, room.pk, options.pop("client_id", None) or uuid4(), body, **options)


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Run ``works`` in threads that start together; return their results or exceptions, in order."""
    start = threading.Barrier(len(works))
    outcomes: list[Any] = [None] * len(works)

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            outcomes[place] = work()
        except Exception as error:
            outcomes[place] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes


def posted(outcomes: list[Any]) -> list[PostResult]:
    assert all(isinstance(each, PostResult) for each in outcomes), outcomes
    return outcomes


def outcomes_of(changes: Sequence[Change]) -> list[Any]:
    """What the writer would answer to changes that were handed in together."""
    jobs = [Job(each) for each in changes]
    outcomes: dict[Job, Any] = {}
    while waiting := [job for job in jobs if job not in outcomes]:
        outcomes |= {
            job: each for job, each in zip(waiting, batch.run(waiting), strict=True) if each is not batch.LOCKED
        }
    return [outcomes[job] for job in jobs]
