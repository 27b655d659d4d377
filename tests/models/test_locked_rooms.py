"""A room that somebody keeps locked costs no other room anything (PostgreSQL; SQLite has one lock for all)."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from chat.models import Room
from chat.services import rooms
from chat.services.changes import Call
from chat.services.writer import Writer
from chat.wire.errors import ServerBusy
from tests.cast import numbers, post_of
from tests.services.log import check_log

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="it locks rows")


@pytest.fixture(autouse=True)
def _real_commits(transactional_db: None) -> None:
    """The writer has a connection of its own: what it stores must be committed to be seen."""


@contextmanager
def locked(room: Room) -> Iterator[threading.Event]:
    """Somebody else holds the room's lock until the event is set."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():  # a host's own, which has no bounds
            Room.objects.select_for_update().get(pk=room.pk)
            taken.set()
            over.wait(30)
        connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    try:
        yield over
    finally:
        over.set()
        thread.join(30)


def use(work: Callable[[Writer], Awaitable[Any]]) -> Any:
    """What ``work`` returns on a loop of its own, with a writer that is stopped afterwards."""
    made = Writer()

    async def main() -> Any:
        async with asyncio.timeout(60):
            return await work(made)

    try:
        return asyncio.run(main())
    finally:
        made.stop()


def test_posts_to_other_rooms_go_on_while_one_is_locked_and_its_own_follow(
    ana: Any, ben: Any, lobby: Room, staff: Room
) -> None:
    async def work(made: Writer) -> None:
        await made.submit(post_of(ana, staff))
        with locked(lobby) as over:
            waiting = [made.submit(post_of(ana, lobby, f"{n}")) for n in range(3)]
            for _ in range(20):
                await asyncio.wait_for(made.submit(post_of(ben, staff)), 2.0)
            assert not any(each.done() for each in waiting)
            over.set()
            assert [each.number for each in await asyncio.gather(*waiting)] == [1, 2, 3]

    use(work)
    assert numbers(staff) == list(range(1, 22))
    for room in (lobby, staff):
        check_log(room)


def test_what_a_person_changes_after_a_change_that_waits_waits_behind_it(
    ana: Any, ben: Any, lobby: Room, staff: Room
) -> None:
    order: list[str] = []

    def noted(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    async def work(made: Writer) -> None:
        with locked(lobby) as over:
            first = made.submit(post_of(ana, lobby))
            first.add_done_callback(lambda _: order.append("post"))
            later = [
                made.submit(Call(ana, noted("ana: a call without a room"))),
                made.submit(post_of(ana, staff)),
            ]
            await made.submit(Call(ben, noted("ben")))
            assert order[0] == "ben"
            assert not any(each.done() for each in later)
            over.set()
            await asyncio.gather(first, *later)

    use(work)
    assert order.count("ben") == order.count("ana: a call without a room") == 1
    assert numbers(staff) == [1]


def test_a_room_that_stays_locked_is_answered_busy_after_the_time_that_is_set(
    ana: Any, ben: Any, lobby: Room, staff: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "LOCK_WAIT_S": 1.0}

    async def work(made: Writer) -> float:
        with locked(lobby):
            begun = time.monotonic()
            refused, behind = made.submit(post_of(ana, lobby)), made.submit(post_of(ana, staff))
            with pytest.raises(ServerBusy):
                await refused
            waited = time.monotonic() - begun
            assert (await behind).number == 1, "it waited behind, and its own room is free"
        return waited

    assert use(work) >= 1.0
    assert numbers(lobby) == []


def test_a_room_that_is_missing_is_not_taken_for_a_locked_one(ana: Any, ben: Any, lobby: Room, staff: Room) -> None:
    async def work(made: Writer) -> None:
        with locked(lobby) as over:
            waiting = made.submit(post_of(ana, lobby))
            gone = made.submit(Call(ben, lambda: rooms.update(by=ben, room_id=10**9, topic="x"), room_id=10**9))
            with pytest.raises(Exception, match="no such room"):
                await gone
            over.set()
            await waiting

    use(work)
