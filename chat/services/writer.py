"""Group commit: one thread per process stores what arrives, many changes in one transaction.

A transaction for each post would flush to disk for each post; a batch shares one flush. The thread takes what waits, at
most ``CHAT["BATCH_POSTS"]``, without waiting for more. Changes take effect in the order in which they
were handed in. Neighbouring posts are stored together, other changes one by one, each in a savepoint of its own, so
that one that fails gives its number back.

When the database breaks down during a batch, nobody knows whether the commit happened. The batch is run again: a change
that did commit is found by its client_id, or changes nothing the second time. So every sender gets the right answer.
"""

import asyncio
import atexit
import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.db import Error

from chat.access.policy import policy
from chat.conf import conf
from chat.live.hints import CompareHeads
from chat.live.publisher import publish
from chat.models import Message, Room, runs
from chat.models.database import wait_for_locks, write
from chat.models.database_errors import is_final, is_lock_timeout, is_unavailable
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.services import posting, read_pointers
from chat.services.posting import Post
from chat.services.read_pointers import Move
from chat.wire.errors import AuthRequired, ChatError, ServerBusy, ServerError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Any service call but a post. It may be run twice, so it must be repeatable.

    ``room_id`` or ``message_id`` names the room whose log it changes; neither names a room that is yet to be made.
    """

    by: Any
    run: Callable[[], Any]
    room_id: int | None = None
    message_id: int | None = None


Change = Post | Call | Move
PAUSE_S = 0.1
PAUSE_AT_MOST_S = 1.0
"""The waits for a database that is away: they double each time."""
LOCK_WAIT_ALONE_S = 0.25
"""How long a change that runs alone, after its batch has failed, waits for a lock: others wait behind it."""


@dataclass(slots=True, eq=False)
class _Job:
    change: Change
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Writer:
    """The process's one writer. ``submit`` from event loops; the thread starts with the first change."""

    def __init__(self) -> None:
        self._waiting = _Waiting()
        self._queue: queue.Queue[_Job | None] | None = None
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, change: Change, *, per_person: int | None = None) -> "asyncio.Future[Any]":
        """Hand in a change. The future gets the service's result, or its ``ChatError``, after the commit.

        Changes of one caller take effect in the order handed in. A cancelled future does not stop the change.

        Args:
            per_person: How many changes of the same person may wait, this one included; None: any number.

        Raises:
            ServerBusy: That many changes of the person wait already, or ``CHAT["WRITER_QUEUE"]`` of all people.
        """
        loop = asyncio.get_running_loop()
        job = _Job(change, loop, loop.create_future())
        self._waiting.add(change, per_person)
        try:
            self._started().put_nowait(job)
        except BaseException as error:
            self._waiting.remove([change])
            if isinstance(error, queue.Full):
                raise ServerBusy from None
            raise
        return job.future

    def oldest_waiting_s(self) -> float:
        """How long the oldest change without an answer has waited, in seconds; 0 when none waits."""
        return self._waiting.oldest_s()

    def _started(self) -> "queue.Queue[_Job | None]":
        if self._queue is None:
            with self._starting:
                if self._queue is None:
                    waiting: queue.Queue[_Job | None] = queue.Queue(conf.writer_queue)
                    self._thread = threading.Thread(target=self._run, args=(waiting,), name="chat-writer", daemon=True)
                    self._thread.start()
                    self._queue = waiting
                    atexit.register(self.stop)
        return self._queue

    def stop(self) -> None:
        """Store the changes that wait, and end the thread."""
        if self._queue is not None and self._thread is not None:
            waiting, self._queue = self._queue, None
            waiting.put(None)
            self._thread.join(timeout=conf.writer_retry_s + 2 * conf.lock_wait_s + 1)

    def forget(self) -> None:
        """Reset after fork(): the writer thread lives only in the parent, which still commits its queue."""
        self._queue = self._thread = None
        self._waiting = _Waiting()
        self._starting = threading.Lock()  # the parent may have held the old one

    def _run(self, waiting: "queue.Queue[_Job | None]") -> None:
        pools.use_own_thread()
        pools.use_plain_connection()
        runs.renew_on_connect()
        going_on = True
        while going_on:
            jobs, going_on = _gather(waiting)
            if jobs:
                changes = [job.change for job in jobs]
                outcomes = outcomes_of(changes)
                self._waiting.remove(changes)
                answer(jobs, outcomes)
        pools.close_connections()


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


def _gather(waiting: "queue.Queue[_Job | None]") -> tuple[list[_Job], bool]:
    """Wait for a job and take the jobs that wait behind it; the bool says whether to go on afterwards."""
    jobs: list[_Job] = []
    item = waiting.get()
    while item is not None:
        jobs.append(item)
        if len(jobs) >= conf.batch_posts:
            return jobs, True
        try:
            item = waiting.get_nowait()
        except queue.Empty:
            return jobs, True
    return jobs, False


def answer(jobs: list[_Job], outcomes: list[Any]) -> None:
    """Resolve the futures of the jobs, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
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


def outcomes_of(changes: list[Change]) -> list[Any]:
    """Make the changes, in one transaction if all goes well; a result or an exception for each, in order."""
    overtaken = read_pointers.overtaken(changes)
    places = [place for place in range(len(changes)) if place not in overtaken]
    made = _outcomes([changes[place] for place in places])
    found = dict(zip(places, made, strict=True))
    return [found[overtaken.get(place, place)] for place in range(len(changes))]


class _Patience:
    """How long one batch waits for a database that is away, however its changes are run.

    It begins with the first failure: a first run may take as long as a dead connection is not noticed, and must have a
    second one.
    """

    def __init__(self) -> None:
        self._ends_at: float | None = None
        self.is_over = False

    def allows(self, pause_s: float) -> bool:
        """Whether to try again after a pause."""
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + conf.writer_retry_s
        self.is_over = self.is_over or now + pause_s > self._ends_at
        return not self.is_over


def _outcomes(
    changes: list[Change], *, patience: _Patience | None = None, in_doubt: bool = False, alone: bool = False
) -> list[Any]:
    """Run the changes until the database takes them.

    Args:
        patience: That of the batch which these changes are a part of; None for a batch.
        in_doubt: Whether an earlier run may have been committed.
        alone: Whether the change's batch has failed already.
    """
    pause_s = PAUSE_S
    patience = patience or _Patience()
    while True:
        try:
            outcomes = _together(changes, alone=alone)
            if in_doubt:
                # Nobody was told what an earlier run may have committed.
                publish([CompareHeads()])
            return outcomes
        except Exception as error:
            if not isinstance(error, Error) or not is_unavailable(error) or is_lock_timeout(error):
                return _one_by_one(changes, error, patience=patience, in_doubt=in_doubt)
            # The connection may have died after COMMIT was sent. Running the batch again finds out.
            pools.close_connections()
            in_doubt = True
            if not patience.allows(pause_s):
                logger.error("writer: giving up on %d changes: %s", len(changes), describe(error))
                return [ServerError() for _ in changes]
            logger.warning("writer: %s; again in %.1f s", describe(error), pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_AT_MOST_S)


def _one_by_one(changes: list[Change], error: Exception, *, patience: _Patience, in_doubt: bool) -> list[Any]:
    """Run each change in a transaction of its own after ``error``, which one of them caused: the database refused a
    row, the site's policy raised, or another process holds a room's lock. The others must not fail with it, and no
    number may be left unused."""
    if len(changes) == 1:
        return [_refusal(error)]
    logger.warning("writer: %s in a batch of %d; one by one", type(error).__name__, len(changes))
    outcomes: list[Any] = []
    locked: set[int] = set()
    for each in changes:
        if patience.is_over:
            outcomes.append(ServerError())
            continue
        if each.room_id in locked:
            outcomes.append(ServerBusy())
            continue
        (outcome,) = _outcomes([each], patience=patience, in_doubt=in_doubt, alone=True)
        outcomes.append(outcome)
        if isinstance(outcome, ServerBusy) and each.room_id:
            locked.add(each.room_id)
    return outcomes


def _refusal(error: Exception) -> ChatError:
    logger.error("writer: a change was refused: %s", describe(error))
    if isinstance(error, Error) and is_lock_timeout(error):
        return ServerBusy()
    # An outbox must not wait for ever behind a row that the database will refuse again. Any other trouble may pass: the
    # policy is fixed, or the deployment creates the missing table.
    return ServerError(retry=not (isinstance(error, Error) and is_final(error)))


def _together(changes: list[Change], *, alone: bool) -> list[Any]:
    outcomes: list[Any] = []
    # Before the transaction, which holds locks and may not idle for long.
    posting.render_missing([each for each in changes if isinstance(each, Post)])
    with write():
        if alone:
            wait_for_locks(LOCK_WAIT_ALONE_S)
        calls = [each for each in changes if not isinstance(each, Post)]
        unwelcome = _unwelcome(calls) if calls else set()
        if calls:
            _lock_rooms(changes)
        place = 0
        while place < len(changes):
            change = changes[place]
            if isinstance(change, Post):
                posts = _posts_from(changes, place)
                outcomes += posting.post_many(posts)
                place += len(posts)
            else:
                outcomes.append(AuthRequired() if change.by.pk in unwelcome else _one(change))
                place += 1
    return outcomes


def _unwelcome(calls: "list[Call | Move]") -> set[Any]:
    """The keys of people who may not use the chat any more: what a socket knows of its person may be a minute old."""
    actors = {each.by.pk for each in calls}
    people = get_user_model()._default_manager.in_bulk(actors)
    return {key for key in actors if not policy().is_welcome(people.get(key))}


def _lock_rooms(changes: list[Change]) -> None:
    """Lock the rooms of all changes in id order, before any of them locks its own: two processes whose batches lock
    the same rooms in another order would wait for each other until the database notices."""
    rooms = {each.room_id for each in changes if each.room_id}
    if messages := {each.message_id for each in changes if isinstance(each, Call) and each.message_id}:
        rooms |= set(Message.objects.filter(pk__in=messages).values_list("room_id", flat=True))
    if rooms:
        list(Room.objects.select_for_update().filter(pk__in=rooms).order_by("pk").values_list("pk"))


def _posts_from(changes: list[Change], place: int) -> list[Post]:
    posts: list[Post] = []
    for each in changes[place:]:
        if not isinstance(each, Post):
            break
        posts.append(each)
    return posts


def _one(change: "Call | Move") -> Any:
    try:
        with write():  # a savepoint: a refused change leaves nothing behind
            return change.run()
    except ChatError as error:
        return error
    except Error:
        raise  # `_outcomes` decides whether the batch runs again or change by change
    except Exception as error:
        logger.error("writer: a change failed: %s", describe(error))
        return ServerError()


writer = Writer()
"""Used by every socket of this process."""
os.register_at_fork(after_in_child=writer.forget)
