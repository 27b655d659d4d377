"""The one bridge from the event loop to synchronous code: named, bounded thread pools.

Channels' own bridge runs everything in one thread of the process, so one slow query would delay every acknowledgement:
a 3 s query held up an unrelated socket for 2.8 s. Here reads, sign-ins and rendering each have threads of their own,
and so does the writer (chat/services/writer.py). Threads live long and keep their database connection; a connection
that came from a pool is given back after each call.

People take turns, and have one call at a time in a pool: what one person asks for on twenty sockets keeps one thread
busy, and delays the others by one call.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from chat.conf import conf
from chat.models import database
from chat.models.database_errors import is_connection_lost, is_unavailable
from chat.runtime.rates import TimeBudget
from chat.runtime.switching import giving_way
from chat.runtime.turns import Turns
from chat.wire.errors import ServerBusy

T = TypeVar("T")
KEEP_ALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""A peer that has answered nothing for 11 s (or for 10,000 ms, if data was sent) counts as gone."""
_this_thread = threading.local()
AT_ONCE_S, SHARE = 0.3, 0.3
"""What one person's reads, or their texts to be rendered, may take of a processor at once, in seconds, and for long."""
COMPUTED = 4
"""How many times the time that it computed a call counts at most: waiting for a slow database counts for nobody."""
WAITING_PER_POOL = 20_000
"""Calls that may wait for one pool, as when a herd of sockets reconnects; any more are refused."""


class _Call(NamedTuple):
    """What somebody has asked for, and the loop on which they wait for the answer."""

    loop: asyncio.AbstractEventLoop
    answer: "Future[Any]"
    run: Callable[[], Any]


class _Nobody:
    """On whose behalf a call runs that is nobody's."""


class Pool:
    """A pool of named threads for one kind of work.

    Args:
        threads: How many calls run at once; a callable is asked at first use, so that settings may decide.
        rests: Whether a person who takes much time waits before their next call. Two people who read all that they have
            missed would otherwise take half of the interpreter from the loop and the writer, and acknowledgements took
            six times as long. A call takes the more, the more others want the interpreter too.
    """

    def __init__(self, name: str, threads: Callable[[], int], *, rests: bool = False):
        self.name = name
        self._threads = threads
        self._budget = TimeBudget(share=SHARE, at_once_s=AT_ONCE_S) if rests else None
        self.forget()

    def forget(self) -> None:
        """Reset after fork(): the threads live only in the parent, which still does their work."""
        self._pool: ThreadPoolExecutor | None = None
        self._turns: Turns[_Call] = Turns(of_one=lambda person: 1)
        self._lock = threading.Lock()

    async def run(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run ``work(*args, **kwargs)`` in one of the pool's threads, on behalf of nobody, and return the result.

        Work that finds its database connection dead is run once more on a new one.

        Raises:
            ServerBusy: Too many calls wait already.
        """
        return await self.run_for(_Nobody(), work, *args, **kwargs)

    async def run_for(self, person: Hashable, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The same on behalf of a person, when it is their turn."""
        answer: Future[T] = Future()
        asked = _Call(asyncio.get_running_loop(), answer, lambda: _call(work, args, kwargs))
        with self._lock:
            if len(self._turns) >= WAITING_PER_POOL:
                raise ServerBusy
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads(), f"chat-{self.name}", use_own_thread)
            self._turns.put(person, asked)
            pool = self._pool
        pool.submit(self._run_waiting)
        return await asyncio.wrap_future(answer)

    def _run_waiting(self) -> None:
        """Run calls until none is left whose turn it is. What then waits, waits for one under way of the same person,
        and the thread that runs that goes on with it."""
        while True:
            with self._lock:
                taken = self._turns.take()
            if taken is None:
                return
            person, asked = taken
            began, computed = time.monotonic(), time.thread_time()
            _answer(asked)
            rest_s = 0.0
            if self._budget is not None and not isinstance(person, _Nobody):
                now = time.monotonic()
                rest_s = self._budget.rest_s(person, counted_s(now - began, time.thread_time() - computed), now)
            if not rest_s or not _later(asked.loop, rest_s, partial(self._go_on_with, person)):
                with self._lock:
                    self._turns.finish(person)

    def _go_on_with(self, person: Hashable) -> None:
        """A person has rested."""
        with self._lock:
            self._turns.finish(person)
            pool = self._pool
        if pool is not None:  # not in a child process
            pool.submit(self._run_waiting)


def counted_s(took_s: float, computed_s: float) -> float:
    """What counts of a call that took this long and computed for part of it."""
    return min(took_s, COMPUTED * computed_s)


def _answer(asked: _Call) -> None:
    if not asked.answer.set_running_or_notify_cancel():
        return  # nobody waits for it any more
    try:
        with giving_way():
            result = asked.run()
    except BaseException as error:
        asked.answer.set_exception(error)
    else:
        asked.answer.set_result(result)


def _later(loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], None]) -> bool:
    """Have ``then`` called on the loop after a while; False if the loop has ended."""
    try:
        loop.call_soon_threadsafe(loop.call_later, seconds, then)
    except RuntimeError:
        return False
    return True


def _call(work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    try:
        return work(*args, **kwargs)
    except Error as error:
        if not is_unavailable(error):
            raise
        close_connections()
        if is_connection_lost(error):
            _drain_pools()
        return work(*args, **kwargs)
    finally:
        release_connections()


def use_own_thread() -> None:
    """Mark the running thread as one of the chat's own: nobody else uses its database connections."""
    _this_thread.is_own = True


def use_plain_connection() -> None:
    """Let the running thread connect to the chat's database by itself, past the host's pool.

    A pool hands out connections that have died, one after the other, and waits ever longer between its attempts to
    reach a server that was away. Whoever keeps one connection for good needs none of what a pool gives.
    """
    db = database.connection()
    options = {name: value for name, value in db.settings_dict["OPTIONS"].items() if name != "pool"}
    db.settings_dict = {**db.settings_dict, "OPTIONS": options}  # a copy: the settings belong to all threads


def keep_alive(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Notice within seconds, and not after a quarter of an hour, that the database's machine is gone.

    A receiver of ``connection_created``, for TCP connections of the chat's own threads to PostgreSQL. Connections of a
    pool are left alone, because the host uses them too, and so are those whose settings configure keepalive themselves.
    """
    if not getattr(_this_thread, "is_own", False) or connection.vendor != "postgresql":
        return
    if any(name.startswith(("keepalives", "tcp_user_timeout", "pool")) for name in connection.settings_dict["OPTIONS"]):
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:
        if wire.family not in (socket.AF_INET, socket.AF_INET6):
            return
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEP_ALIVE.items():
            if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
                wire.setsockopt(socket.IPPROTO_TCP, option, value)


def release_connections() -> None:
    """Give pooled connections back, and drop those that failed, so that the next call starts on a sound one."""
    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue
        if connection.errors_occurred or connection.settings_dict.get("OPTIONS", {}).get("pool"):
            connection.close()


def _drain_pools() -> None:
    """Replace what waits in the pools: when one connection is found dead, the others have died with it."""
    for connection in connections.all(initialized_only=True):
        if (pool := getattr(connection, "pool", None)) is not None and hasattr(pool, "drain"):
            pool.drain()


def close_connections() -> None:
    """Close this thread's database connections, whatever state they are in."""
    for connection in connections.all(initialized_only=True):
        connection.close()


readers = Pool("readers", lambda: conf.reader_threads, rests=True)
"""Reads for sockets: sync, history, lists."""
site = Pool("site", lambda: 2)
"""Changes on behalf of the site's own coroutines: on SQLite they may wait for the write lock, and reads must not."""
auth = Pool("auth", lambda: 2)
"""Sign-ins and re-validation, so that a herd of handshakes does not hold up reads."""
render = Pool("render", lambda: 1, rests=True)
"""Markdown that is not plain text. One thread, because more would only compete for the GIL."""
for _pool in (readers, site, auth, render):
    os.register_at_fork(after_in_child=_pool.forget)
connection_created.connect(keep_alive)
