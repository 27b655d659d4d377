"""For commands: an unreachable database is reported in one line, without a traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandError
from django.db import Error

from chat.models.database import connection
from chat.models.database_errors import is_unavailable


@contextmanager
def reachable() -> Iterator[None]:
    """Turn the error of an unreachable database into a ``CommandError``.

    Raises:
        CommandError: With the message of the database driver.
    """
    pool = logging.getLogger("psycopg.pool")
    level = pool.level
    # The pool would log the same error once more.
    pool.setLevel(logging.CRITICAL)
    try:
        yield
    except Error as error:
        if not is_unavailable(error):
            raise
        raise CommandError(f"The database can't be used: {_line(_reason(error))}.") from None
    finally:
        pool.setLevel(level)


def _reason(error: Exception) -> Exception:
    """The real error. A pool only says that it has waited long enough, so connect once without it."""
    db: Any = connection()
    if db.settings_dict.get("OPTIONS", {}).get("pool"):
        try:
            db.Database.connect(**db.get_connection_params()).close()
        except db.Database.Error as found:
            return found  # type: ignore[no-any-return]
    return error


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
