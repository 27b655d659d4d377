"""What an error of the database means: the database is unavailable, or it refused the row that it was given."""

from django.db import DataError, Error, IntegrityError, InterfaceError, OperationalError

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


def is_connection_lost(error: Error) -> bool:
    """Whether it is this connection that has ended, and others of the same server may have ended with it."""
    state = _sqlstate_of(error)
    return is_unavailable(error) and (not state or state.startswith(("08", "57P")))


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
