"""Where the chat's tables live, and the two ways into them: ``write()`` for services, ``snapshot()`` for reads."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from django.apps import apps
from django.db import OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from chat.conf import conf

LOOK_EVERY_S = 0.002
"""How often a transaction that waits for SQLite's lock looks for it."""
SQLITE_BUSY = 5
in_service: ContextVar[bool] = ContextVar("chat_in_service", default=False)
_memory: ContextVar[dict[str, Any] | None] = ContextVar("chat_transaction_memory", default=None)


def alias() -> str:
    """The database that the host's router gives to the chat. All of its tables live in that one."""
    return router.db_for_write(apps.get_model("chat", "Room"))


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to the chat's database."""
    return connections[alias()]


@contextmanager
def write(*, waits_are_bounded: bool = True, lock_wait_s: float | None = None) -> Iterator[None]:
    """A transaction in which live tables may be changed. Only services open one; inside another it is a savepoint.

    Args:
        waits_are_bounded: On PostgreSQL, give up after ``CHAT["LOCK_WAIT_S"]`` at a lock, and let the server end the
            transaction once it has done nothing for ``CHAT["IDLE_TRANSACTION_S"]``: a frozen process that holds a
            room's lock would stop every acknowledgement of the site. Sweeps and imports take the time they need. Inside
            a transaction of the host's, the host's own settings stay as they are.
        lock_wait_s: Give up at a lock sooner than that; None: not.
    """
    db = connection()
    is_bounded = waits_are_bounded and db.vendor == "postgresql" and not db.in_atomic_block
    allowed = in_service.set(True)
    remembered = _memory.set({} if (memory := _memory.get()) is None else memory)
    try:
        # SQLite's own kind of BEGIN takes the lock at the first write, too late to wait for another writer's.
        with _sqlite(db, "IMMEDIATE") if _begins_on_sqlite(db) else transaction.atomic(using=db.alias):
            if is_bounded:
                with db.cursor() as cursor:
                    cursor.execute(_bounds(lock_wait_s))
            yield
    finally:
        _memory.reset(remembered)
        in_service.reset(allowed)


def transaction_memory() -> dict[str, Any]:
    """What services remember until the outermost ``write()`` around the caller ends. There must be one."""
    memory = _memory.get()
    assert memory is not None, "outside write()"
    return memory


def on_commit(action: Callable[[], Any]) -> None:
    """Run ``action`` when the outermost transaction has committed; never if it rolls back."""
    transaction.on_commit(action, using=alias(), robust=True)


@contextmanager
def snapshot() -> Iterator[None]:
    """All reads inside see one and the same state of the database.

    Inside a transaction that is open already, that transaction's own view is used.
    """
    db = connection()
    if db.in_atomic_block:
        yield
    elif _begins_on_sqlite(db):
        with _sqlite(db, None):  # a reader must not take the write lock, whatever the settings say of transactions
            yield
    else:
        with transaction.atomic(using=db.alias):
            with db.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; {_bounds()}")
            yield


def _bounds(lock_wait_s: float | None = None) -> str:
    """For this transaction alone: connections of a pool, or of PgBouncer, are the host's as well."""
    waits = [each for each in (conf.lock_wait_s, lock_wait_s) if each]
    return (
        f"SET LOCAL idle_in_transaction_session_timeout = {round(conf.idle_transaction_s * 1000)};"
        f" SET LOCAL lock_timeout = {round(min(waits, default=0) * 1000)}"
    )


def _begins_on_sqlite(db: BaseDatabaseWrapper) -> bool:
    return db.vendor == "sqlite" and not db.in_atomic_block


@contextmanager
def _sqlite(db: BaseDatabaseWrapper, mode: str | None) -> Iterator[None]:
    """A transaction that begins in ``mode``, whatever the mode of the site's own transactions."""
    db.ensure_connection()  # connecting sets the mode, so it comes first
    own, db.transaction_mode = getattr(db, "transaction_mode", None), mode  # type: ignore[attr-defined]
    try:
        with _begun_in_turn(db) if mode == "IMMEDIATE" else transaction.atomic(using=db.alias):
            db.transaction_mode = own  # type: ignore[attr-defined]
            yield
    finally:
        db.transaction_mode = own  # type: ignore[attr-defined]


@contextmanager
def busy_timeout(db: Any, wait_ms: int) -> Iterator[int]:
    """On SQLite, wait for locks of others this long at most; yield the usual time, which holds again afterwards."""
    db.ensure_connection()
    (usual_ms,) = db.connection.execute("PRAGMA busy_timeout").fetchone()
    db.connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
    try:
        yield usual_ms
    finally:
        db.connection.execute(f"PRAGMA busy_timeout = {usual_ms}")


@contextmanager
def _begun_in_turn(db: Any) -> Iterator[None]:
    """``transaction.atomic()`` that looks for SQLite's lock often.

    SQLite itself looks every 100 ms in the end, and a process that writes without a pause leaves gaps of a millisecond
    or two: the others waited for seconds.
    """
    with busy_timeout(db, 0) as usual_ms:
        until = time.monotonic() + usual_ms / 1000
        while True:
            atomic = transaction.atomic(using=db.alias)
            try:
                atomic.__enter__()
                break
            except OperationalError as error:
                if getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF != SQLITE_BUSY or time.monotonic() >= until:
                    raise
            time.sleep(LOOK_EVERY_S)
    with ExitStack() as stack:
        stack.push(atomic)
        yield
