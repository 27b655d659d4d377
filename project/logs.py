"""Filters that keep the log short."""

import time
from collections.abc import Callable
from logging import Filter, LogRecord

from redis.exceptions import RedisError

TROUBLE = (OSError, RedisError, RuntimeError)
"""The exceptions of a server that does not answer. Any other is a bug, and keeps its traceback."""
QUIET_S = 60.0
KINDS_AT_MOST = 100
"""How many different lines are counted. They come from a few places; past this number, all counts start again."""


def refusal_in_one_line(record: LogRecord) -> bool:
    """Let every record pass, but without the traceback if a page was refused (403) or the database is unavailable
    (503): there it adds nothing."""
    status, error = getattr(record, "status_code", None), record.exc_info[1] if record.exc_info else None
    if status == 503 and error:
        record.msg, record.args = f"{record.getMessage()}: {_line(error)}", None
    if status in (403, 503):
        record.exc_info = None
    return True


class Repeats(Filter):
    """Lets a record pass, and holds back similar ones for ``QUIET_S``; the next one says how many there were.

    Records are similar if logger, text and exception class are the same. Exceptions of ``TROUBLE`` lose their
    traceback: while a server does not answer, it would add forty useless lines each second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self._clock = clock
        self._told: dict[tuple[str, str, str], tuple[float, int]] = {}

    def filter(self, record: LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage()
        alike, now = (record.name, text, type(error).__name__), self._clock()
        told_at, left_out = self._told.get(alike, (now - QUIET_S, 0))
        if now - told_at < QUIET_S:
            self._told[alike] = told_at, left_out + 1
            return False
        if len(self._told) >= KINDS_AT_MOST:
            self._told.clear()
        self._told[alike] = now, 0
        parts = [text.rstrip(":"), *([_line(error)] if error else [])]
        again = f" ({left_out} more like this since the last line)" if left_out else ""
        record.msg, record.args = ": ".join(parts) + again, None
        if isinstance(error, TROUBLE):
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def _line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
