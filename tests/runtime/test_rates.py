"""Token buckets: a burst at once, a rate over time, and memory for so many people only."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.runtime import rates
from chat.runtime.rates import RateLimit


def test_a_burst_goes_through_and_the_next_waits_for_one_token() -> None:
    limit = RateLimit(rate=5.0, burst=3)
    assert [limit.wait_s("ana", 10.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert limit.wait_s("ana", 10.0) == pytest.approx(0.2)
    assert limit.wait_s("ben", 10.0) == 0.0, "each has a bucket of their own"


def test_waiting_as_told_is_enough_and_less_is_not() -> None:
    limit = RateLimit(rate=5.0, burst=1)
    limit.wait_s("ana", 0.0)
    wait = limit.wait_s("ana", 0.0)
    assert limit.wait_s("ana", wait - 0.01) > 0
    assert limit.wait_s("ana", wait + 0.001) == 0.0


def test_a_costlier_act_is_granted_less_often() -> None:
    limit = RateLimit(rate=2.0, burst=5)
    assert [limit.wait_s("ana", 0.0, 2.5) for _ in range(2)] == [0.0, 0.0]
    wait = limit.wait_s("ana", 0.0, 2.5)
    assert wait == pytest.approx(1.25)
    assert limit.wait_s("ana", wait + 0.001, 2.5) == 0.0


def test_an_act_that_costs_more_than_the_burst_takes_all_of_it_and_is_granted_in_the_end() -> None:
    limit = RateLimit(rate=1.0, burst=2)
    assert limit.wait_s("ana", 0.0, 5.0) == 0.0
    assert limit.wait_s("ana", 0.0, 5.0) == pytest.approx(2.0)
    assert limit.wait_s("ana", 2.0, 5.0) == 0.0


def test_a_refusal_costs_nothing() -> None:
    limit = RateLimit(rate=1.0, burst=1)
    limit.wait_s("ana", 0.0)
    for tenth in range(1, 10):
        assert limit.wait_s("ana", tenth / 10) > 0
    assert limit.wait_s("ana", 1.0) == 0.0


def test_a_long_rest_earns_one_burst_and_no_more() -> None:
    limit = RateLimit(rate=5.0, burst=2)
    limit.wait_s("ana", 0.0)
    assert [limit.wait_s("ana", 1e6) == 0 for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    limit = RateLimit(rate=5.0, burst=1)
    limit.wait_s("ana", 100.0)
    assert limit.wait_s("ana", 50.0) > 0


def test_the_longest_unused_bucket_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PEOPLE_AT_MOST", 2)
    limit = RateLimit(rate=0.001, burst=1)
    for name in ("ana", "ben", "ana", "cleo"):
        limit.wait_s(name, 0.0)
    assert limit.wait_s("ana", 0.0) > 0
    assert limit.wait_s("ben", 0.0) == 0.0


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_nobody_gets_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    limit, now, granted = RateLimit(rate=2.0, burst=4), 0.0, 0
    for pause in pauses:
        now += pause
        granted += limit.wait_s("ana", now) == 0
        assert granted <= 4 + 2 * now + 1e-6


def test_threads_that_ask_at_the_same_moment_are_granted_one_burst_together() -> None:
    limit, together, interval = RateLimit(rate=0.001, burst=500), threading.Barrier(4), sys.getswitchinterval()

    def ask(_: int) -> int:
        together.wait()
        return sum(limit.wait_s("ana", 0.0) == 0 for _ in range(5_000))

    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(ask, range(4))) == 500
    finally:
        sys.setswitchinterval(interval)


def test_what_was_used_elsewhere_is_owed_here_up_to_one_burst() -> None:
    limit = RateLimit(rate=5.0, burst=10)
    limit.take_elsewhere("ana", 15.0, 0.0)
    assert limit.wait_s("ana", 0.0) == pytest.approx(6 / 5)
    limit.take_elsewhere("ana", 1e9, 0.0)
    assert limit.wait_s("ana", 0.0) == pytest.approx(11 / 5)
    assert limit.wait_s("ben", 0.0) == 0.0


def test_what_cannot_be_refused_is_owed_and_says_how_long_it_takes_to_pay() -> None:
    limit = RateLimit(rate=5.0, burst=10)
    assert limit.owe("ana", 0.0, 10.0) == 0.0
    assert limit.owe("ana", 0.0, 5.0) == pytest.approx(1.0)
    assert limit.owe("ana", 1.0, 0.0) == 0.0
    assert limit.owe("ana", 1.0, 1e9) == pytest.approx(2.0), "nobody owes more than a burst"
    assert limit.owe("ana", 1.0, 1e9, bursts=4.0) == pytest.approx(8.0), "unless the caller says so"


def test_only_keys_that_use_much_of_their_rate_are_told_and_each_use_once() -> None:
    limit = RateLimit(rate=4.0, burst=10)
    for key, times in (("ana", 3), ("ben", 1)):
        for _ in range(times):
            limit.wait_s(key, 0.0)
    for _ in range(20):
        limit.wait_s("cleo", 0.0)
    limit.wait_s("dan", 0.0, 0.5)
    limit.take_elsewhere("eve", 9.0, 0.0)
    assert limit.taken() == [("cleo", 10.0), ("ana", 3.0), ("ben", 1.0)], "granted here, and more than a trifle"
    assert limit.taken() == []


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("pause_s", [0.01, 0.11, 0.21, 0.35])
def test_over_processes_that_tell_each_other_nobody_gets_much_more_than_the_limit(
    processes: int, pause_s: float
) -> None:
    """A person asks each process in turn, as fast as it goes; each second the processes tell each other."""
    limits = [RateLimit(rate=5.0, burst=20) for _ in range(processes)]
    granted: list[float] = []
    now, told_at = 0.0, 1.0
    while now < 120:
        for limit in limits:
            if limit.wait_s("ana", now) == 0:
                granted.append(now)
        if now >= told_at:
            told_at += 1.0
            for limit, taken in [(limit, limit.taken()) for limit in limits]:
                for other in limits:
                    if other is not limit:
                        for key, cost in taken:
                            other.take_elsewhere(key, cost, now)
        now += pause_s
    most = max(sum(start <= at < start + 60 for at in granted) for start in range(60))
    assert most <= 1.5 * (20 + 60 * 5)
    assert sum(at < 1.0 for at in granted) <= processes * (20 + 5)
