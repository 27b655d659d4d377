"""Where the chat's tables live, and the two ways into them: ``write()`` for services, ``snapshot()`` for reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from django.apps import apps
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    connections,
    models,
    router,
    transaction,
)
from django.db.backends.base.base import BaseDatabaseWrapper

from chat.conf import conf

UNAVAILABLE = ("08", "25006", "25P03", "25P04", "40", "53", "55", "57", "58")
"""How the SQLSTATEs (PostgreSQL's manual, appendix A) begin that speak of the database: no connection, a read-only
standby, a transaction that idled or ran too long, a rollback, resources (a full disk), locks, shutdown, system."""
REFUSES_THE_ROW = ("21", "22", "23", "44", "54", "P0")
"""How those begin that speak of the row: cardinality, data, integrity, a view's check option, a program limit (an index
entry that is too long), an exception that a trigger raised."""
LOCK_TIMEOUT = "55P03"
SQLITE_UNAVAILABLE = frozenset({3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
"""SQLite's primary result codes that do the same: permission, busy, locked, memory, read-only, interrupted, input or
output, corrupt, full, can't open, locking protocol, not a database."""

_in_service: ContextVar[bool] = ContextVar("chat_in_service", default=False)


def alias() -> str:
    """The database that the host's router gives to the chat. All of its tables live in that one."""
    return router.db_for_write(apps.get_model("chat", "Room"))


def connection() -> BaseDatabaseWrapper:
    """This thread's connection to the chat's database."""
    return connections[alias()]


@contextmanager
def write(*, waits_are_bounded: bool = True) -> Iterator[None]:
    """A transaction in which live tables may be changed. Only services open one; inside another it is a savepoint.

    Args:
        waits_are_bounded: On PostgreSQL, give up after ``CHAT["LOCK_WAIT_S"]`` at a lock, and let the server end the
            transaction once it has done nothing for ``CHAT["IDLE_TRANSACTION_S"]``: a frozen process that holds a
            room's lock would stop every acknowledgement of the site. Sweeps and imports take the time they need. Inside
            a transaction of the host's, the host's own settings stay as they are.
    """
    db = connection()
    is_bounded = waits_are_bounded and db.vendor == "postgresql" and not db.in_atomic_block
    allowed = _in_service.set(True)
    try:
        # SQLite's own kind of BEGIN takes the lock at the first write, too late to wait for another writer's.
        with _sqlite(db, "IMMEDIATE") if _begins_on_sqlite(db) else transaction.atomic(using=db.alias):
            if is_bounded:
                with db.cursor() as cursor:
                    cursor.execute(_bounds())
            yield
    finally:
        _in_service.reset(allowed)


def is_unavailable(error: Error) -> bool:
    """Whether the database can't do anything of the kind right now, so that the same may succeed in a moment.

    Exception classes alone don't tell: psycopg raises ``InternalError`` for a standby that is read-only (25006), and
    ``OperationalError`` for an index entry that is too long (54000).
    """
    if state := _sqlstate_of(error):
        return state.startswith(UNAVAILABLE)
    if (code := getattr(error.__cause__, "sqlite_errorcode", None)) is not None:
        return code & 0xFF in SQLITE_UNAVAILABLE
    return isinstance(error, OperationalError | InterfaceError)


def is_final(error: Error) -> bool:
    """Whether the database refused the row that it was given, and will refuse it again."""
    if state := _sqlstate_of(error):
        return state.startswith(REFUSES_THE_ROW)
    return isinstance(error, DataError | IntegrityError)


def is_lock_timeout(error: Error) -> bool:
    """Whether somebody else held a lock for longer than this transaction waits (PostgreSQL)."""
    return _sqlstate_of(error) == LOCK_TIMEOUT


def _sqlstate_of(error: Error) -> str:
    """ "" where the database knows none (SQLite) or was not reached."""
    return getattr(error.__cause__, "sqlstate", None) or ""


def wait_for_locks(at_most_s: float) -> None:
    """Give up at a lock after this time, until the open transaction ends (PostgreSQL)."""
    db = connection()
    if db.vendor == "postgresql":
        with db.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {round(at_most_s * 1000)}")


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


def _bounds() -> str:
    """For this transaction alone: connections of a pool, or of PgBouncer, are the host's as well."""
    return (
        f"SET LOCAL idle_in_transaction_session_timeout = {round(conf.idle_transaction_s * 1000)};"
        f" SET LOCAL lock_timeout = {round(conf.lock_wait_s * 1000)}"
    )


def _begins_on_sqlite(db: BaseDatabaseWrapper) -> bool:
    return db.vendor == "sqlite" and not db.in_atomic_block


@contextmanager
def _sqlite(db: BaseDatabaseWrapper, mode: str | None) -> Iterator[None]:
    """A transaction that begins in ``mode``, whatever the mode of the site's own transactions."""
    db.ensure_connection()  # connecting sets the mode, so it comes first
    own, db.transaction_mode = getattr(db, "transaction_mode", None), mode  # type: ignore[attr-defined]
    try:
        with transaction.atomic(using=db.alias):
            db.transaction_mode = own  # type: ignore[attr-defined]
            yield
    finally:
        db.transaction_mode = own  # type: ignore[attr-defined]


Row = TypeVar("Row", bound=models.Model, covariant=True)


class GuardedQuerySet(models.QuerySet[Row, Row]):
    """Refuses bulk changes that would bypass the services, and with them the sequence and the live pages."""

    def update(self, **kwargs: Any) -> int:
        return super().update(**kwargs) if _in_service.get() else _refuse(self.model)

    def delete(self) -> tuple[int, dict[str, int]]:
        return super().delete() if _in_service.get() else _refuse(self.model)

    update.alters_data = True  # type: ignore[attr-defined]
    delete.alters_data = True  # type: ignore[attr-defined]


class LiveModel(models.Model):
    """A table that open pages show live: its rows change through ``chat.services`` alone."""

    objects = GuardedQuerySet.as_manager()

    class Meta:
        abstract = True

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        return super().delete(*args, **kwargs) if _in_service.get() else _refuse(type(self))


def _refuse(model: type[models.Model]) -> NoReturn:
    raise TypeError(
        f"{model.__name__} rows are live: change them through chat.services (or chat.api), which number the change "
        "and tell the open pages."
    )
