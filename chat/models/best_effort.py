"""Writes that only note something, such as when a token was last used. No page, bot or sign-in depends on them."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chat.models.database import alias, busy_timeout
from chat.models.database_errors import is_unavailable
from chat.runtime.safe_logging import describe

logger = logging.getLogger(__name__)
LOCK_MS = 1000
"""A note that would wait longer for somebody else's lock is left out."""
LOCKED_MS, LOCKED_S = 10, 1.0
"""The wait for SQLite's lock in the second after one was in vain: a sign-in notes twenty things."""
_locked_until = 0.0
FOR_THIS_TRANSACTION = (
    f"SELECT set_config('lock_timeout', '{LOCK_MS}ms', true), set_config('synchronous_commit', 'off', true)"
)


def write_if_possible(write: Callable[[], Any], *, using: str | None = None) -> None:
    """Run ``write`` in a ``brief_transaction``. Where the database can't be written, that is logged, and the caller
    goes on. Inside another transaction, a failure takes back the note alone.

    Args:
        using: The database; the chat's own if None.
    """
    try:
        with brief_transaction(using=using):
            write()
    except Error as error:
        logger.warning("a note could not be written: %s", describe(error))


@contextmanager
def brief_transaction(*, using: str | None = None) -> Iterator[None]:
    """A transaction that waits for no flush to the disk, for no replica, and a second at most for a lock.

    Its loss does no harm, and so a disk or replica that hangs holds up nobody. Inside another transaction it is a plain
    savepoint.

    Args:
        using: The database; the chat's own if None.

    Raises:
        Error: The database could not be written.
    """
    db = connections[using or alias()]
    own = not db.in_atomic_block
    with _short_wait(db) if own else nullcontext(), transaction.atomic(using=db.alias):
        if own and db.vendor == "postgresql":
            with db.cursor() as cursor:
                cursor.execute(FOR_THIS_TRANSACTION)
        yield


@contextmanager
def _short_wait(db: BaseDatabaseWrapper) -> Iterator[None]:
    """On SQLite, which has no such setting for one transaction."""
    global _locked_until
    if db.vendor != "sqlite":
        yield
        return
    wait_ms = LOCKED_MS if time.monotonic() < _locked_until else LOCK_MS
    try:
        with busy_timeout(db, wait_ms):
            yield
    except Error as error:
        if is_unavailable(error):
            _locked_until = time.monotonic() + LOCKED_S
        raise
