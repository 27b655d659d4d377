"""Threads of the chat's own: people take turns, and a dead connection of a host's pool is not the first of many."""

import asyncio
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from chat.models import database
from chat.runtime import pools, switching
from chat.runtime.switching import SWITCH_S, giving_way
from chat.wire.errors import ServerBusy

WAIT_S = 20.0
FLOOD_S = 0.05
WORK_S = 0.03


def in_a_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_a_thread_may_connect_past_the_hosts_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(shared, "pool", {"max_size": 1})

    def options() -> dict[str, Any]:
        pools.use_plain_connection()
        return dict(database.connection().settings_dict["OPTIONS"])

    assert in_a_thread(options) == {name: value for name, value in shared.items() if name != "pool"}
    assert in_a_thread(lambda: database.connection().settings_dict["OPTIONS"]) is shared


def test_what_waits_in_a_pool_is_replaced_when_one_of_its_connections_is_found_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []

    class Pool:
        def drain(self) -> None:
            happened.append("drained")

    class Wrapper:
        pool = Pool()
        in_atomic_block = errors_occurred = False
        settings_dict: dict[str, Any] = {"OPTIONS": {"pool": True}}  # noqa: RUF012

        def close(self) -> None:
            happened.append("closed")

    def work() -> str:
        happened.append("called")
        if len(happened) == 1:
            raise OperationalError("the connection is closed")
        return "read"

    monkeypatch.setattr(connections, "all", lambda initialized_only: [Wrapper()])
    assert pools._call(work, (), {}) == "read"
    assert happened == ["called", "closed", "drained", "called", "closed"]


async def test_one_persons_calls_keep_one_thread_busy_and_others_go_between_them() -> None:
    pool = pools.Pool("test", lambda: 2)
    goes_on, under_way, done = threading.Event(), threading.Semaphore(0), []

    def work(name: str) -> str:
        under_way.release()
        if name == "ana 0":
            assert goes_on.wait(WAIT_S)
        done.append(name)
        return name

    anas = [asyncio.ensure_future(pool.run_for("ana", work, f"ana {each}")) for each in range(3)]
    await asyncio.to_thread(under_way.acquire)
    assert await pool.run_for("ben", work, "ben") == "ben", "a thread is free for him"
    assert await pool.run(work, "nobody's") == "nobody's"
    goes_on.set()
    assert await asyncio.gather(*anas) == ["ana 0", "ana 1", "ana 2"]
    assert done == ["ben", "nobody's", "ana 0", "ana 1", "ana 2"]


async def test_a_call_that_nobody_waits_for_any_more_is_not_made_and_a_failed_one_is_told() -> None:
    pool = pools.Pool("test", lambda: 1)
    goes_on, done = threading.Event(), []

    def fail() -> None:
        raise ValueError("no")

    first = asyncio.ensure_future(pool.run_for("ana", goes_on.wait, WAIT_S))
    given_up = asyncio.ensure_future(pool.run_for("ana", done.append, "given up"))
    failed = asyncio.ensure_future(pool.run_for("ana", fail))
    last = asyncio.ensure_future(pool.run_for("ana", done.append, "last"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(ValueError, match="no"):
        await failed
    await asyncio.gather(first, last)
    assert done == ["last"]


async def test_calls_beyond_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "WAITING_PER_POOL", 1)
    pool = pools.Pool("test", lambda: 1)
    goes_on, begun = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert goes_on.wait(WAIT_S)

    first = asyncio.ensure_future(pool.run(work))
    await asyncio.to_thread(begun.wait, WAIT_S)
    second = asyncio.ensure_future(pool.run(lambda: None))
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await pool.run(lambda: None)
    goes_on.set()
    await asyncio.gather(first, second)


async def test_threads_switch_often_while_one_of_a_pool_computes_and_only_then() -> None:
    until_no_flood()
    before = sys.getswitchinterval()
    pool = pools.Pool("test", lambda: 1)
    assert await pool.run(sys.getswitchinterval) == pytest.approx(SWITCH_S)
    assert sys.getswitchinterval() == before
    with giving_way():
        with giving_way():
            pass
        assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize(
    ("took_s", "computed_s", "counts_s"),
    [(0.1, 0.1, 0.1), (0.1, 0.04, 0.1), (3.0, 0.01, 0.04)],
    ids=["alone", "beside others", "slow database"],
)
def test_a_call_counts_for_more_beside_others_and_not_for_a_slow_database(
    took_s: float, computed_s: float, counts_s: float
) -> None:
    assert pools.counted_s(took_s, computed_s) == pytest.approx(counts_s)


async def test_in_a_pool_that_rests_who_has_taken_much_waits_and_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "AT_ONCE_S", WORK_S)
    pool = pools.Pool("test", lambda: 1, rests=True)
    began: list[tuple[str, float]] = []

    def work(name: str) -> None:
        began.append((name, time.monotonic()))
        until = time.thread_time() + WORK_S
        while time.thread_time() < until:
            pass

    names = ("a1", "a2", "a3", "a4", "b1", "b2")
    await asyncio.gather(*[pool.run_for(name[0], work, name) for name in names])
    times = dict(began)
    assert [name for name, _ in began][-1] == "a4", "others do not wait for it"
    assert times["a4"] - times["a1"] >= 0.9 * 2 * WORK_S / pools.SHARE, "three calls, of which one was free"
    assert await pool.run_for("a", lambda: "and on") == "and on"


def test_during_a_flood_threads_switch_often_and_afterwards_as_before() -> None:
    until_no_flood()
    before = sys.getswitchinterval()
    for _ in range(3):
        switching.give_way_for(FLOOD_S)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_S)
    until_no_flood()
    assert sys.getswitchinterval() == before


def until_no_flood() -> None:
    """A test of before may have been a flood."""
    deadline = time.monotonic() + WAIT_S
    while switching._busy and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_child_of_a_process_that_computes_switches_as_python_does_and_waits_for_nobody() -> None:
    until_no_flood()
    before = sys.getswitchinterval()
    with giving_way(), switching._lock:
        child = os.fork()
        if not child:
            is_own = sys.getswitchinterval() == before and not switching._lock.locked() and not switching._busy
            os._exit(0 if is_own else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
