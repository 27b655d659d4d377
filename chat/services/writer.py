"""Group commit: one thread per process stores what arrives, many changes in one transaction (``batch``).

A transaction for each post would flush to disk for each post; a batch shares one flush. The thread takes what waits,
without waiting for more: one change of each person in turn, at most ``CHAT["BATCH_POSTS"]`` posts and a few others, of
which a person has one, because whoever comes next waits for all of them. Whoever makes many rests in between:
somebody's flood of reactions takes part of the thread, and leaves the event loop time to tell everybody. Changes that
need a lock which another process holds wait aside, and are tried again with each batch.
"""

import asyncio
import atexit
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat.conf import conf
from chat.models import runs
from chat.runtime import pools
from chat.runtime.rates import TimeBudget
from chat.runtime.safe_logging import describe
from chat.services import batch, changes
from chat.services.changes import Call, Change, Job
from chat.services.fair_queue import FairQueue, Full
from chat.services.posting import Post
from chat.wire.errors import ServerBusy, ServerError

logger = logging.getLogger(__name__)

CALLS_AT_MOST = 10
"""Changes other than posts in one batch. Each takes some milliseconds, posts much less: they are stored together."""
CALLS_SHARE, CALLS_AT_ONCE_S = 0.4, 0.1
"""What one person's changes other than posts take of the thread in the long run, and without a rest."""
LOCKED_AGAIN_S = 0.02
"""How long to wait for more, at most, before changes that need a lock are tried again."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Submitted(Job):
    """A job whose answer goes to an event loop."""

    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Writer:
    """The process's one writer. ``submit`` from event loops; the thread starts with the first change."""

    def __init__(self) -> None:
        self._waiting = _Waiting()
        self._budget = TimeBudget(share=CALLS_SHARE, at_once_s=CALLS_AT_ONCE_S)
        self._queue: FairQueue[_Submitted] | None = None
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(
        self,
        change: Change,
        *,
        per_person: int | None = None,
        ends_at: float = math.inf,
        is_abandoned: Callable[[], bool] = changes.never,
    ) -> "asyncio.Future[Any]":
        """Hand in a change. The future gets the service's result, or its ``ChatError``, after the commit.

        Changes of one person take effect in the order handed in. A cancelled future does not stop the change.

        Args:
            per_person: How many changes of the same person may wait, this one included; None: any number.
            ends_at: When to give the change up, by ``runtime.elapsed``: it is answered ``ServerBusy`` and not stored.
            is_abandoned: Whether to give it up, asked from the writer's thread until shortly before the commit.

        Raises:
            ServerBusy: That many changes of the person wait already, or ``CHAT["WRITER_QUEUE"]`` of all people.
        """
        loop = asyncio.get_running_loop()
        job = _Submitted(change, ends_at, is_abandoned, loop=loop, future=loop.create_future())
        self._waiting.add(change, per_person)
        try:
            self._started().put(job.person, job)
        except BaseException as error:
            self._waiting.remove([change])
            if isinstance(error, Full):
                raise ServerBusy from None
            raise
        return job.future

    def oldest_waiting_s(self) -> float:
        """How long the oldest change without an answer has waited, in seconds; 0 when none waits."""
        return self._waiting.oldest_s()

    def _started(self) -> FairQueue[_Submitted]:
        if self._queue is None:
            with self._starting:
                if self._queue is None:
                    waiting: FairQueue[_Submitted] = FairQueue(conf.writer_queue, _cost, _is_call)
                    self._thread = threading.Thread(target=self._run, args=(waiting,), name="chat-writer", daemon=True)
                    self._thread.start()
                    self._queue = waiting
                    atexit.register(self.stop)
        return self._queue

    def stop(self) -> None:
        """Store the changes that wait, and end the thread."""
        if self._queue is not None and self._thread is not None:
            waiting, self._queue = self._queue, None
            waiting.close()
            self._thread.join(timeout=conf.writer_retry_s + 2 * conf.lock_wait_s + 1)

    def forget(self) -> None:
        """Reset after fork(): the writer thread lives only in the parent, which still commits its queue."""
        self._queue = self._thread = None
        self._waiting = _Waiting()
        self._starting = threading.Lock()  # the parent may have held the old one

    def _run(self, waiting: FairQueue[_Submitted]) -> None:
        pools.use_own_thread()
        pools.use_plain_connection()
        runs.renew_on_connect()
        locked: list[_Submitted] = []
        while locked or not waiting.is_done:
            jobs = locked + _next(waiting, locked)
            began = time.monotonic()
            outcomes = _outcomes_of(jobs)
            self._let_rest(waiting, jobs, began)
            locked = [job for job, outcome in zip(jobs, outcomes, strict=True) if outcome is batch.LOCKED]
            answered = [
                (job, outcome) for job, outcome in zip(jobs, outcomes, strict=True) if outcome is not batch.LOCKED
            ]
            self._waiting.remove([job.change for job, _ in answered])
            _answer(answered)
        pools.close_connections()

    def _let_rest(self, waiting: FairQueue[_Submitted], jobs: list[_Submitted], began: float) -> None:
        """Whoever changes much waits before their next change that is no post."""
        now = time.monotonic()
        for person in {job.person for job in jobs if _is_call(job)}:
            if rest_s := self._budget.rest_s(person, now - began, now):
                waiting.rest(person, rest_s)


def _outcomes_of(jobs: list[_Submitted]) -> list[Any]:
    try:
        return batch.run(jobs)
    except Exception as error:  # a fault of ours: without the thread, everything would wait for ever
        logger.critical("the writer: %s", describe(error))
        return [ServerError() for _ in jobs]


class _Waiting:
    """How many changes of each person wait for their answer, and since when the oldest of all does.

    Used by the loops' threads and by the writer's.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._since: dict[int, float] = {}
        self._lock = threading.Lock()

    def add(self, change: Change, most: int | None) -> None:
        person = str(change.by.pk)
        with self._lock:
            if most is not None and self._counts[person] >= most:
                raise ServerBusy
            self._counts[person] += 1
            self._since[id(change)] = time.monotonic()

    def oldest_s(self) -> float:
        with self._lock:
            # A dict keeps the order in which changes were handed in.
            return time.monotonic() - next(iter(self._since.values())) if self._since else 0.0

    def remove(self, changes: list[Change]) -> None:
        with self._lock:
            for each in changes:
                self._since.pop(id(each), None)
            self._counts.subtract(str(each.by.pk) for each in changes)
            self._counts = +self._counts  # drops people with nothing waiting


def _next(waiting: FairQueue[_Submitted], locked: list[_Submitted]) -> list[_Submitted]:
    """Wait for the jobs of the next batch; not for long if there are ``locked`` ones to try again."""
    if locked and (len(locked) >= conf.writer_queue or waiting.is_done):
        time.sleep(LOCKED_AGAIN_S)
        return []
    return waiting.take(conf.batch_posts, LOCKED_AGAIN_S if locked else None)


def _cost(job: _Submitted) -> float:
    return 1.0 if isinstance(job.change, Post) else conf.batch_posts / CALLS_AT_MOST


def _is_call(job: _Submitted) -> bool:
    return isinstance(job.change, Call)


def _answer(answered: list[tuple[_Submitted, Any]]) -> None:
    """Resolve the futures of the jobs, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, outcome in answered:
        by_loop.setdefault(job.loop, []).append((job.future, outcome))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, pairs)
        except RuntimeError:
            logger.info("%d answers for a loop that is closed", len(pairs))


def _resolve(pairs: "list[tuple[asyncio.Future[Any], Any]]") -> None:
    for future, outcome in pairs:
        if future.done():
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


writer = Writer()
"""Used by every socket of this process."""
os.register_at_fork(after_in_child=writer.forget)
