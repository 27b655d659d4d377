"""Group commit: answers in order, nobody pays for a neighbour, and the thread outlives every fault."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError

from chat.access.policy import Policy
from chat.conf import conf
from chat.models import Membership, Message, Room
from chat.models.database import write
from chat.services import batch, memberships, messages
from chat.services.changes import Call, Change, Job
from chat.services.posting import Post
from chat.services.writer import Writer
from chat.wire.errors import ChatError, MessageEmpty, MessageNotFound, RoomForbidden, ServerBusy, ServerError
from chat.wire.protocol import PostResult
from tests.cast import at_once, events_in, numbers, outcomes_of, post_of, posted, published, said, say
from tests.services.log import check_log


@pytest.fixture(autouse=True)
def _real_commits(transactional_db: None) -> None:
    """The writer has a connection of its own: what it stores must be committed to be seen."""


async def test_a_fault_of_the_batch_itself_is_answered_and_ends_nothing(ana: Any, lobby: Room) -> None:
    writer = Writer()
    with patch.object(batch, "run", side_effect=RuntimeError("a fault of ours")), pytest.raises(ServerError):
        await writer.submit(post_of(ana, lobby, "one"))
    assert (await writer.submit(post_of(ana, lobby, "two"))).number == 1
    await asyncio.to_thread(writer.stop)


# One batch -------------------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_changes(ana: Any, eve: Any, lobby: Room) -> None:
    message = said(ana, lobby)
    changes: list[Change] = [
        post_of(ana, lobby, "two"),
        Call(ana, lambda: messages.edit(by=ana, message_id=message.pk, body="one"), message_id=message.pk),
        post_of(ana, lobby, " "),
        Call(ana, lambda: messages.delete(by=eve, message_id=10**9), message_id=10**9),
        post_of(ana, lobby, "three"),
    ]
    two, seq, empty, missing, three = outcomes_of(changes)
    assert (two.number, three.number) == (2, 3)
    assert two.seq < seq < three.seq
    assert isinstance(empty, MessageEmpty)
    assert isinstance(missing, MessageNotFound)
    check_log(lobby)


def test_changes_take_effect_in_the_order_handed_in(ana: Any, ben: Any, lobby: Room) -> None:
    left, post, back = outcomes_of(
        [
            Call(ana, lambda: memberships.leave(by=ben, room_id=lobby.pk), room_id=lobby.pk),
            post_of(ben, lobby),
            Call(ana, lambda: memberships.join(by=ben, room_id=lobby.pk), room_id=lobby.pk),
        ]
    )
    assert left is None
    assert isinstance(post, RoomForbidden)
    assert back == lobby


def test_a_refused_change_takes_its_number_back_with_it(ana: Any, lobby: Room) -> None:
    def half_done() -> None:
        with write():
            say(ana, lobby, "never seen")
            raise RoomForbidden

    with published() as hints:
        first, refused, last = outcomes_of([post_of(ana, lobby, "1"), Call(ana, half_done), post_of(ana, lobby, "2")])
    assert isinstance(refused, RoomForbidden)
    assert (first.number, last.number) == (1, 2)
    assert last.seq == first.seq + 1
    assert [each.message.body for each in events_in(hints, lobby)] == ["1", "2"]
    check_log(lobby)


@pytest.mark.parametrize("fault", [IntegrityError("no"), ValueError("a bug"), LookupError("a host's policy")])
def test_a_change_that_breaks_down_fails_alone(ana: Any, lobby: Room, fault: Exception) -> None:
    def broken() -> None:
        with write():
            say(ana, lobby, "never seen")
            raise fault

    with published() as hints:
        outcomes = outcomes_of([post_of(ana, lobby, "1"), Call(ana, broken), post_of(ana, lobby, "2")])
    assert isinstance(outcomes[1], ServerError)
    assert [each.duplicate for each in posted(outcomes[::2])] == [False, False]
    assert [each.message.body for each in events_in(hints, lobby)] == ["1", "2"]
    check_log(lobby)


class FailsOnBen(Policy):
    """A host's policy with a bug."""

    def can_post(self, user: Any, room: Room, membership: Membership | None) -> bool:
        if user.username == "ben":
            raise AttributeError("'User' object has no attribute 'profile'")
        return super().can_post(user, room, membership)


def test_a_policy_that_breaks_down_on_one_post_costs_the_others_nothing(
    ana: Any, ben: Any, lobby: Room, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.FailsOnBen"}
    posts = [post_of(ben if n == 3 else ana, lobby, f"{n}") for n in range(6)]
    outcomes = outcomes_of(list(posts))
    assert [n for n, each in enumerate(outcomes) if isinstance(each, ServerError)] == [3]
    assert not any(each.duplicate for each in posted(outcomes[:3] + outcomes[4:]))
    assert numbers(lobby) == [1, 2, 3, 4, 5]
    check_log(lobby)


def test_two_processes_that_lock_the_same_rooms_take_turns(
    ana: Any, lobby: Room, staff: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Were each room locked when its change comes, each would hold one and wait for the other's."""
    both_hold_one = threading.Barrier(2)

    def hold() -> None:
        with suppress(threading.BrokenBarrierError):
            both_hold_one.wait(0.5)

    def batch(first: Room, second: Room) -> list[Change]:
        return [post_of(ana, first), Call(ana, hold), post_of(ana, second)]

    outcomes = at_once([lambda: outcomes_of(batch(lobby, staff)), lambda: outcomes_of(batch(staff, lobby))])
    for one, _, two in outcomes:
        assert not any(each.duplicate for each in posted([one, two]))
    for room in (lobby, staff):
        assert numbers(room) == [1, 2]
        check_log(room)
    assert not caplog.records, "nobody had to be ended by the database"


def test_giving_up_is_answered_with_a_retryable_error(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "WRITER_RETRY_S": 0.35}
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append)
    away = patch.object(batch, "_together", side_effect=OperationalError("no route to host"))
    with patch.object(batch, "time", clock), away as runs:
        outcomes = outcomes_of([post_of(ana, lobby), post_of(ana, lobby)])
    assert slept == [0.1, 0.2]
    assert runs.call_count == 3, "at once, after 0.1 s, after 0.3 s"
    assert [(type(each), each.retry) for each in outcomes] == [(ServerError, True)] * 2


def test_the_writer_continues_when_the_database_comes_back(ana: Any, lobby: Room) -> None:
    together = batch._together
    answers: Iterator[Any] = iter([OperationalError("starting up"), OperationalError("starting up")])

    def down_at_first(jobs: list[Job], **options: Any) -> list[Any]:
        if (error := next(answers, None)) is not None:
            raise error
        return together(jobs, **options)

    with patch.object(batch, "_together", down_at_first):
        (result,) = outcomes_of([post_of(ana, lobby)])
    assert (result.number, result.duplicate) == (1, False)


# The thread ------------------------------------------------------------------------------------------------------


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


class Gate:
    """A change that keeps the writer busy until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.opened.wait(30)
        return "gate"

    async def is_reached(self) -> None:
        await asyncio.to_thread(self.entered.wait, 30)


def test_waiting_changes_are_stored_in_batches(ana: Any, lobby: Room) -> None:
    sizes: list[int] = []
    together = batch._together

    def counted(jobs: list[Job], **options: Any) -> list[Any]:
        sizes.append(len(jobs))
        return together(jobs, **options)

    async def work(made: Writer) -> list[Any]:
        gate = Gate()
        first = made.submit(Call(ana, gate))
        await gate.is_reached()
        futures = [made.submit(post_of(ana, lobby, f"{n}")) for n in range(450)]
        gate.opened.set()
        return [await first, *await asyncio.gather(*futures)]

    with patch.object(batch, "_together", counted):
        outcomes = use(work)
    assert sizes == [1, 200, 200, 50]
    assert [each.number for each in posted(outcomes[1:])] == list(range(1, 451))
    check_log(lobby)


def test_a_backlog_of_one_person_is_not_in_front_of_another(ana: Any, ben: Any, lobby: Room) -> None:
    """Ana's sixty edits take ten batches' time. Ben's post, which came after them, is in the first of these."""
    message = said(ana, lobby)
    edits = [partial(messages.edit, by=ana, message_id=message.pk, body=f"{n}") for n in range(60)]

    async def work(made: Writer) -> tuple[int, Any]:
        gate = Gate()
        first = made.submit(Call(ana, gate))
        await gate.is_reached()
        futures = [made.submit(Call(ana, each, message_id=message.pk)) for each in edits]
        post = made.submit(post_of(ben, lobby))
        gate.opened.set()
        await post
        waiting = sum(not each.done() for each in futures)
        await asyncio.gather(first, *futures)
        return waiting, post.result()

    waiting, stored = use(work)
    assert stored.number == 2
    assert waiting >= 50
    assert Message.objects.get(pk=message.pk).body == "59", "in the order handed in"
    check_log(lobby)


def test_a_full_queue_answers_busy_and_stores_the_accepted_changes(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "WRITER_QUEUE": 3}

    async def work(made: Writer) -> list[Any]:
        gate = Gate()
        made.submit(Call(ana, gate))
        await gate.is_reached()
        futures = [made.submit(post_of(ana, lobby)) for _ in range(3)]
        with pytest.raises(ServerBusy) as busy:
            made.submit(post_of(ana, lobby))
        assert busy.value.retry
        gate.opened.set()
        return await asyncio.gather(*futures)

    assert [each.number for each in use(work)] == [1, 2, 3]
    assert numbers(lobby) == [1, 2, 3]


def test_a_refusal_is_raised_and_the_thread_lives_on(ana: Any, ben: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.FailsOnBen"}

    async def work(made: Writer) -> PostResult:
        with pytest.raises(MessageEmpty):
            await made.submit(post_of(ana, lobby, ""))
        with pytest.raises(ServerError):
            await made.submit(post_of(ben, lobby))
        return await made.submit(post_of(ana, lobby))

    assert use(work).number == 1


def test_a_direct_room_with_somebody_deactivated_takes_posts(ana: Any, ben: Any, ana_and_ben: Room) -> None:
    """Ben has not seen the room yet; telling him of it failed, and took the writer's thread with it."""
    ben.is_active = False
    ben.save()

    async def work(made: Writer) -> list[PostResult]:
        return [await made.submit(post_of(ana, ana_and_ben)) for _ in range(2)]

    assert [each.number for each in use(work)] == [1, 2]


def test_a_cancelled_wait_does_not_stop_the_change(ana: Any, lobby: Room) -> None:
    async def work(made: Writer) -> Any:
        gate = Gate()
        made.submit(Call(ana, gate))
        await gate.is_reached()
        forgotten = made.submit(post_of(ana, lobby, "forgotten"))
        forgotten.cancel()
        last = made.submit(post_of(ana, lobby, "last"))
        gate.opened.set()
        return await last

    assert use(work).number == 2


def test_answers_for_a_loop_that_is_closed_harm_nobody(ana: Any, lobby: Room) -> None:
    made, gate = Writer(), Gate()

    async def ask_and_go() -> None:
        made.submit(Call(ana, gate))
        await gate.is_reached()
        made.submit(post_of(ana, lobby))

    async def ask_again() -> PostResult:
        return await asyncio.wait_for(made.submit(post_of(ana, lobby)), 30)

    try:
        asyncio.run(ask_and_go())
        gate.opened.set()
        assert asyncio.run(ask_again()).number == 2
    finally:
        made.stop()


def test_stopping_stores_waiting_changes(ana: Any, lobby: Room) -> None:
    made, gate = Writer(), Gate()

    async def ask_and_go() -> None:
        made.submit(Call(ana, gate))
        await gate.is_reached()
        made.submit(post_of(ana, lobby))

    asyncio.run(ask_and_go())
    gate.opened.set()
    made.stop()
    assert numbers(lobby) == [1]


def test_callers_of_several_loops_get_their_own_answers(ana: Any, ben: Any, lobby: Room) -> None:
    made = Writer()

    def talk(who: Any) -> list[int]:
        async def main() -> list[int]:
            return [(await made.submit(Post(who, lobby.pk, uuid4(), "hi"))).number for _ in range(5)]

        return asyncio.run(main())

    try:
        one, two = at_once([lambda: talk(ana), lambda: talk(ben)])
    finally:
        made.stop()
    assert sorted(one + two) == list(range(1, 11))
    assert one == sorted(one)


def test_a_chat_error_is_no_answer_to_anybody_else(ana: Any, lobby: Room) -> None:
    async def work(made: Writer) -> list[Any]:
        futures = [made.submit(post_of(ana, lobby, body)) for body in ("1", "", "2", " ", "3")]
        return await asyncio.gather(*futures, return_exceptions=True)

    outcomes = use(work)
    assert [isinstance(each, ChatError) for each in outcomes] == [False, True, False, True, False]
    assert [each.number for each in posted(outcomes[::2])] == [1, 2, 3]


def test_a_batch_whose_database_goes_away_while_it_runs_one_by_one_has_one_time_limit(
    ana: Any, lobby: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    runs = 0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def together(jobs: list[Job], *, without_locked: bool) -> list[Any]:
        nonlocal runs
        runs += 1
        raise OperationalError("the database is away") if len(jobs) == 1 else IntegrityError("a bad row")

    monkeypatch.setattr(batch, "_together", together)
    monkeypatch.setattr(batch.time, "sleep", sleep)
    monkeypatch.setattr(batch.time, "monotonic", lambda: now)
    outcomes = outcomes_of([post_of(ana, lobby, f"{each}") for each in range(100)])
    assert [type(each) for each in outcomes] == [ServerError] * 100
    assert all(each.retry for each in outcomes)
    assert now <= conf.writer_retry_s
    assert runs < 20
