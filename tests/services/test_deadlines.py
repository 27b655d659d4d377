"""A change that is not wanted any more is not stored: final means final."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from chat.conf import conf
from chat.models import Room
from chat.runtime import elapsed
from chat.services import batch, changes
from chat.services.changes import Call, Job
from chat.wire.errors import ServerBusy, ServerError
from tests.cast import numbers, post_of
from tests.services.log import check_log
from tests.services.test_unknown_commits import connection_that_dies_after_commit


@pytest.fixture(autouse=True)
def _real_commits(transactional_db: None) -> None:
    """A batch that is rolled back must leave nothing."""


class Clock:
    """Stands still but for ``pass_s``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    with patch.object(elapsed, "now", lambda: made.now):
        yield made


def test_a_change_that_waited_until_its_deadline_is_answered_busy_and_never_stored(
    ana: Any, lobby: Room, clock: Clock
) -> None:
    late, in_time = (
        Job(post_of(ana, lobby, "late"), ends_at=1000.0),
        Job(post_of(ana, lobby, "in time"), ends_at=1001.0),
    )
    busy, stored = batch.run([late, in_time])
    assert isinstance(busy, ServerBusy)
    assert busy.retry
    assert (stored.number, numbers(lobby)) == (1, [1])
    check_log(lobby)


def test_a_deadline_that_passes_before_the_commit_rolls_back_and_the_others_are_stored(
    ana: Any, ben: Any, lobby: Room, clock: Clock
) -> None:
    runs: list[int] = []

    def takes_long() -> str:
        runs.append(1)
        clock.pass_s(5)
        return "done"

    jobs = [
        Job(post_of(ana, lobby, "late"), ends_at=1004.0),
        Job(Call(ben, takes_long)),
        Job(post_of(ben, lobby, "no deadline")),
    ]
    busy, done, stored = batch.run(jobs)
    assert isinstance(busy, ServerBusy)
    assert done == "done"
    assert (stored.number, stored.duplicate, numbers(lobby)) == (1, False, [1])
    assert len(runs) == 2, "the batch was run again without it"
    check_log(lobby)


def test_a_deadline_that_passed_during_the_wait_for_a_lock_is_noticed_before_anybody_is_asked(
    ana: Any, lobby: Room, clock: Clock
) -> None:
    with (
        patch("chat.services.posting._Batch._lock_rooms", side_effect=lambda: clock.pass_s(5) or {}),
        patch("chat.services.posting._Batch._find_stored", side_effect=AssertionError("went on")),
    ):
        (busy,) = batch.run([Job(post_of(ana, lobby), ends_at=1004.0)])
    assert isinstance(busy, ServerBusy)


def test_a_post_that_was_given_up_after_its_turn_began_is_not_stored(ana: Any, ben: Any, lobby: Room) -> None:
    gone = False

    def the_socket_ends() -> None:
        nonlocal gone
        gone = True

    jobs = [Job(post_of(ana, lobby, "given up"), is_abandoned=lambda: gone), Job(Call(ben, the_socket_ends))]
    busy, _ = batch.run(jobs)
    assert isinstance(busy, ServerBusy)
    assert numbers(lobby) == []


def test_a_change_that_may_have_been_stored_is_not_answered_as_if_it_had_not(
    ana: Any, lobby: Room, clock: Clock, settings: Any
) -> None:
    """The first run was committed, and nobody knows; then the deadline passed."""
    with connection_that_dies_after_commit(), patch.object(batch.time, "sleep", lambda _: clock.pass_s(60)):
        (unknown,) = batch.run([Job(post_of(ana, lobby), ends_at=1010.0)])
    assert isinstance(unknown, ServerError)
    assert unknown.retry
    assert numbers(lobby) == [1]


def test_what_a_server_has_begun_ends_before_the_deadline_that_it_announces(settings: Any) -> None:
    frozen_s = conf.idle_transaction_s
    assert changes.kept_s() + frozen_s + changes.COMMIT_S <= conf.deadline_s
    assert changes.kept_s() > conf.lock_wait_s, "a locked room alone makes nobody late"
