"""Writes that only note something, such as when a token was last used. No page, bot or sign-in depends on them."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from django.db import Error, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chat.models.database import alias
from chat.runtime.safe_logging import describe

logger = logging.getLogger(__name__)
LOCK_MS = 250
"""A note that would wait longer for somebody else's lock is left out."""
FOR_THIS_TRANSACTION = (
    f"SELECT set_config('lock_timeout', '{LOCK_MS}ms', true), set_config('synchronous_commit', 'off', true)"
)


def write_if_possible(write: Callable[[], Any], *, using: str | None = None) -> None:
    """Run ``write`` in a transaction. Where the database can't be written, that is logged, and the caller goes on.

    Inside another transaction, a failure takes back the note alone. Outside, it waits for no flush to the disk and no
    replica: a lost note does no harm, and a disk or replica that hangs holds up nobody.

    Args:
        using: The database; the chat's own if None.
    """
    db = connections[using or alias()]
    own = not db.in_atomic_block
    try:
        with _busy_timeout(db) if own else nullcontext(), transaction.atomic(using=db.alias):
            if own and db.vendor == "postgresql":
                with db.cursor() as cursor:
                    cursor.execute(FOR_THIS_TRANSACTION)
            write()
    except Error as error:
        logger.warning("a note could not be written: %s", describe(error))


@contextmanager
def _busy_timeout(db: BaseDatabaseWrapper) -> Iterator[None]:
    """On SQLite, which has no such setting for one transaction."""
    if db.vendor != "sqlite":
        yield
        return
    with db.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {LOCK_MS}")
    try:
        yield
    finally:
        with db.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {usual}")
