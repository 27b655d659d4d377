"""Runs many changes in one transaction, and again until the database takes them.

Changes take effect in the order in which they were handed in. Neighbouring posts are stored together, other changes one
by one, each in a savepoint of its own, so that one that fails gives its number back.

When the database breaks down during a batch, nobody knows whether the commit happened. The batch is run again: a change
that did commit is found by its client_id, or changes nothing the second time. So every sender gets the right answer.

A room that another process keeps locked must not hold up the others. Its changes are put aside (``LOCKED``), and so are
the later ones of the same people, because the changes of one person take effect in order.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.db import Error

from chat.access.policy import policy
from chat.conf import conf
from chat.live.hints import CompareHeads
from chat.live.publisher import publish
from chat.models import Message, Room
from chat.models.database import connection, write
from chat.models.database_errors import is_final, is_lock_timeout, is_unavailable
from chat.runtime import elapsed, pools
from chat.runtime.safe_logging import describe
from chat.services import posting, read_pointers
from chat.services.changes import Call, Job
from chat.services.posting import Post
from chat.services.read_pointers import Move
from chat.wire.errors import AuthRequired, ChatError, ServerBusy, ServerError

logger = logging.getLogger(__name__)

PAUSE_S = 0.1
PAUSE_AT_MOST_S = 1.0
"""The waits for a database that is away: they double each time."""
LOCK_WAIT_S = 0.25
"""How long a batch waits for a lock before it goes on without the changes that need it: others wait behind it."""
LOCK_WAIT_AGAIN_S = 0.05
"""The same for a change that is known to need a lock that somebody holds."""


class _Locked:
    def __repr__(self) -> str:
        return "LOCKED"


LOCKED: Final = _Locked()
"""In place of an outcome: the change was not made, because another process holds a lock that it needs, or because it
comes after such a change of the same person. Hand it in again, before later ones."""


class _Overdue(Exception):
    """A change is not wanted any more, so the open transaction must not be committed."""


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


def run(jobs: Sequence[Job]) -> list[Any]:
    """Make the changes, in one transaction if all goes well.

    Returns:
        For each job, in order, what its change returned, the ``ChatError`` that refused it, or ``LOCKED``.
    """
    now = elapsed.now()
    outcomes: dict[Job, Any] = {job: ServerBusy() for job in jobs if job.is_over or _has_waited_enough(job, now)}
    rest = [job for job in jobs if job not in outcomes]
    overtaken = read_pointers.overtaken([job.change for job in rest])
    made = [job for place, job in enumerate(rest) if place not in overtaken]
    outcomes |= zip(made, _outcomes(made, without_locked=any(job.locked_since for job in made)), strict=True)
    outcomes |= {rest[place]: outcomes[rest[other]] for place, other in overtaken.items()}
    return [outcomes[job] for job in jobs]


def _has_waited_enough(job: Job, now: float) -> bool:
    """Whether it waited for one lock as long as a transaction of the chat's may; ``LOCK_WAIT_S`` 0 sets no limit."""
    return job.locked_since is not None and 0 < conf.lock_wait_s <= now - job.locked_since


def _outcomes(
    jobs: list[Job], *, patience: _Patience | None = None, in_doubt: bool = False, without_locked: bool = False
) -> list[Any]:
    """Run the jobs until the database takes them.

    Args:
        patience: That of the batch which these jobs are a part of; None for a batch.
        in_doubt: Whether an earlier run may have been committed.
        without_locked: Whether to leave out rooms that are locked, rather than wait for them.
    """
    pause_s = PAUSE_S
    patience = patience or _Patience()
    given_up: dict[Job, Any] = {}
    while True:
        for job in jobs:
            if job not in given_up and job.is_over:
                given_up[job] = ServerError() if in_doubt else ServerBusy()
        wanted = [job for job in jobs if job not in given_up]
        try:
            made = _together(wanted, without_locked=without_locked) if wanted else []
            break
        except _Overdue:
            continue
        except Exception as error:
            is_locked = isinstance(error, Error) and is_lock_timeout(error)
            if is_locked and not without_locked:
                without_locked = True
                continue
            if is_locked or not isinstance(error, Error) or not is_unavailable(error):
                made = _one_by_one(wanted, error, patience=patience, in_doubt=in_doubt)
                break
            # The connection may have died after COMMIT was sent. Running the batch again finds out.
            pools.close_connections()
            in_doubt = True
            if not patience.allows(pause_s):
                logger.error("writer: giving up on %d changes: %s", len(wanted), describe(error))
                made = [ServerError() for _ in wanted]
                break
            logger.warning("writer: %s; again in %.1f s", describe(error), pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_AT_MOST_S)
    if in_doubt:
        # Nobody was told what an earlier run may have committed.
        publish([CompareHeads()])
    outcomes = given_up | dict(zip(wanted, made, strict=True))
    return [outcomes[job] for job in jobs]


def _one_by_one(jobs: list[Job], error: Exception, *, patience: _Patience, in_doubt: bool) -> list[Any]:
    """Run each job in a transaction of its own after ``error``, which one of them caused: the database refused a row,
    the site's policy raised, or another process holds a lock. The others must not fail with it, and no number may be
    left unused."""
    if len(jobs) == 1:
        return [_refusal(jobs[0], error)]
    logger.warning("writer: %s in a batch of %d; one by one", type(error).__name__, len(jobs))
    outcomes: list[Any] = []
    people: set[str] = set()
    for job in jobs:
        if patience.is_over:
            outcomes.append(ServerError())
        elif job.person in people:
            outcomes.append(LOCKED)
        else:
            outcomes += _outcomes([job], patience=patience, in_doubt=in_doubt, without_locked=True)
            if outcomes[-1] is LOCKED:
                people.add(job.person)
    return outcomes


def _refusal(job: Job, error: Exception) -> Any:
    if isinstance(error, Error) and is_lock_timeout(error):
        job.locked_since = job.locked_since or elapsed.now()
        return LOCKED
    logger.error("writer: a change was refused: %s", describe(error))
    # An outbox must not wait for ever behind a row that the database will refuse again. Any other trouble may pass: the
    # policy is fixed, or the deployment creates the missing table.
    return ServerError(retry=not (isinstance(error, Error) and is_final(error)))


def _together(jobs: list[Job], *, without_locked: bool) -> list[Any]:
    # Before the transaction, which holds locks and may not idle for long.
    posting.render_missing([job.change for job in jobs if isinstance(job.change, Post)])
    with write(lock_wait_s=LOCK_WAIT_AGAIN_S if without_locked else LOCK_WAIT_S):
        calls = [job.change for job in jobs if not isinstance(job.change, Post)]
        unwelcome = _unwelcome(calls) if calls else set()
        locked = _lock_rooms(jobs, without_locked=without_locked) if calls or without_locked else set()
        made = [job for job in jobs if job not in locked]
        outcomes = dict(zip(made, _made(made, unwelcome), strict=True))
        _ensure_wanted(made)
    return [outcomes.get(job, LOCKED) for job in jobs]


def _made(jobs: list[Job], unwelcome: set[Any]) -> list[Any]:
    outcomes: list[Any] = []
    while len(outcomes) < len(jobs):
        change = jobs[len(outcomes)].change
        if isinstance(change, Post):
            posts = _posts_from(jobs, len(outcomes))
            # Others may have held the locks for a while.
            outcomes += posting.post_many(posts, when_locked=lambda: _ensure_wanted(jobs))
        else:
            outcomes.append(AuthRequired() if change.by.pk in unwelcome else _one(change))
    return outcomes


def _ensure_wanted(jobs: Iterable[Job]) -> None:
    """Roll back if there is a job that may not be stored any more."""
    if any(job.is_over for job in jobs):
        raise _Overdue


def _unwelcome(calls: list[Call | Move]) -> set[Any]:
    """The keys of people who may not use the chat any more: what a socket knows of its person may be a minute old."""
    actors = {each.by.pk for each in calls}
    people = get_user_model()._default_manager.in_bulk(actors)
    return {key for key in actors if not policy().is_welcome(people.get(key))}


def _lock_rooms(jobs: list[Job], *, without_locked: bool) -> set[Job]:
    """Lock the rooms of all jobs in id order, before any of them locks its own: two processes whose batches lock
    the same rooms in another order would wait for each other until the database notices.

    Returns:
        With ``without_locked``, the jobs that can't be run because another process holds their room's lock, and the
        later ones of the same people.
    """
    rooms = _rooms_of(jobs)
    wanted = Room.objects.filter(pk__in=set(rooms.values())).order_by("pk")
    if not without_locked or not connection().features.has_select_for_update_skip_locked:
        list(wanted.select_for_update().values_list("pk"))
        return set()
    ours = set(wanted.select_for_update(skip_locked=True).values_list("pk", flat=True))
    # What is not ours is locked or missing.
    others = set(wanted.exclude(pk__in=ours).values_list("pk", flat=True))
    locked: set[Job] = set()
    people: set[str] = set()
    for job in jobs:
        is_locked = rooms.get(job) in others
        job.locked_since = (job.locked_since or elapsed.now()) if is_locked else None
        if is_locked or job.person in people:
            locked.add(job)
            people.add(job.person)
    return locked


def _rooms_of(jobs: list[Job]) -> dict[Job, int]:
    """The rooms whose logs the jobs change, where these are there already."""
    messages = {job.change.message_id for job in jobs if isinstance(job.change, Call) and job.change.message_id}
    places = dict(Message.objects.filter(pk__in=messages).values_list("pk", "room_id")) if messages else {}
    rooms: dict[Job, int] = {}
    for job in jobs:
        change = job.change
        room = places.get(change.message_id) if isinstance(change, Call) and change.message_id else change.room_id
        if room:
            rooms[job] = room
    return rooms


def _posts_from(jobs: list[Job], place: int) -> list[Post]:
    posts: list[Post] = []
    for job in jobs[place:]:
        if not isinstance(job.change, Post):
            break
        posts.append(job.change)
    return posts


def _one(change: Call | Move) -> Any:
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
