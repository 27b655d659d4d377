"""project/logs.py: while Redis is down, the log gets one line a minute, not one traceback a second."""

import io
import logging

import pytest
from django.db import OperationalError

from project.logs import KINDS_AT_MOST, QUIET_S, Repeats, refusal_in_one_line

RECEIVING = "Unexpected exception in receive task"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(clock: Clock) -> tuple[logging.Logger, io.StringIO]:
    """A logger with the filter, and the stream that it writes to."""
    written = io.StringIO()
    logger, handler, repeats = logging.Logger("channels_redis.pubsub"), logging.StreamHandler(written), Repeats(clock)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.addFilter(repeats)
    return logger, written


def fail(logger: logging.Logger, error: Exception, text: str = RECEIVING) -> None:
    try:
        raise error
    except Exception:
        logger.exception(text)


def test_an_error_that_repeats_each_second_is_one_line_a_minute_with_a_count(
    log: tuple[logging.Logger, io.StringIO], clock: Clock
) -> None:
    logger, written = log
    for _ in range(121):
        fail(logger, ConnectionError("Error 111 connecting to redis:6379.\nConnection refused."))
        clock.now += 1
    line = f"ERROR {RECEIVING}: ConnectionError: Error 111 connecting to redis:6379"
    again = " (59 more like this since the last line)"
    assert written.getvalue().splitlines() == [line, line + again, line + again]


def test_a_different_error_is_logged_at_once(log: tuple[logging.Logger, io.StringIO], clock: Clock) -> None:
    logger, written = log
    fail(logger, ConnectionError())
    fail(logger, RuntimeError("read() called while another coroutine is already waiting"))
    fail(logger, ConnectionError(), "Unexpected exception while cleaning-up channel:")
    logger.warning("hints rest for %s s", 1)
    logger.warning("hints rest for %s s", 1)
    assert written.getvalue().splitlines() == [
        f"ERROR {RECEIVING}: ConnectionError",
        f"ERROR {RECEIVING}: RuntimeError: read() called while another coroutine is already waiting",
        "ERROR Unexpected exception while cleaning-up channel: ConnectionError",
        "WARNING hints rest for 1 s",
    ]
    clock.now += QUIET_S
    fail(logger, ConnectionError())
    assert written.getvalue().splitlines()[-1] == f"ERROR {RECEIVING}: ConnectionError", "none was left out"


def test_a_mistake_in_the_code_keeps_its_traceback(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    fail(logger, KeyError("channel"))
    assert "Traceback" in written.getvalue()


def test_the_number_of_remembered_lines_is_bounded(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, _ = log
    (repeats,) = logger.filters
    for each in range(3 * KINDS_AT_MOST):
        logger.warning("number %s", each)
    assert isinstance(repeats, Repeats)
    assert len(repeats._told) <= KINDS_AT_MOST


def test_an_unavailable_database_is_logged_as_one_line_with_the_reason(log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, written = log
    logger.filters = [refusal_in_one_line]
    try:
        raise OperationalError("database or disk is full\nand more")
    except OperationalError:
        logger.error("Service Unavailable: %s", "/new/", exc_info=True, extra={"status_code": 503})
    assert written.getvalue() == "ERROR Service Unavailable: /new/: OperationalError: database or disk is full\n"


def test_the_loggers_that_repeat_while_redis_or_the_database_is_down_are_filtered() -> None:
    for name in (
        "channels_redis.pubsub",
        "chat.live.layer_subscriber",
        "chat.live.layer_sender",
        "chat.models.best_effort",
    ):
        assert {type(each) for each in logging.getLogger(name).filters} == {Repeats}, name
