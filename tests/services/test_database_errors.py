"""What the database can't do now it may do later; what it refuses because of the row, it refuses for good."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import django.db
import psycopg
import pytest
from django.db import Error, IntegrityError, InterfaceError, OperationalError, connection
from psycopg import errors

from chat.models import Room, database_errors
from chat.services import batch, posting
from chat.services.changes import Call, Job
from chat.wire.errors import ServerError
from tests.cast import numbers, outcomes_of, post_of, posted
from tests.services.log import check_log


@pytest.fixture(autouse=True)
def _real_commits(transactional_db: None) -> None:
    """The writer closes its connection when the database is away: what it stores must be committed to be seen."""


def django_error(error: psycopg.Error) -> Error:
    """What Django makes of what psycopg raises."""
    wrapped = {"DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError"}

    (kind,) = [each for each in type(error).__mro__ if each.__name__ in wrapped][:1]
    made: Error = getattr(django.db, kind.__name__)(*error.args)
    made.__cause__ = error
    return made


AWAY = [
    errors.ReadOnlySqlTransaction,  # a standby, before it is promoted
    errors.IdleInTransactionSessionTimeout,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.TooManyConnections,
    errors.QueryCanceled,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.ConnectionFailure,
    errors.IoError,
]
"""The database as a whole."""
BUGS = [
    errors.UndefinedColumn,  # a deployment that has not migrated yet
    errors.InsufficientPrivilege,
    errors.InternalError_,
    errors.InFailedSqlTransaction,  # a policy that has caught an error of the database's and gone on
]
"""Neither the database as a whole, nor anything that the row can help."""
NEVER = [
    errors.UniqueViolation,
    errors.NotNullViolation,
    errors.ForeignKeyViolation,
    errors.CheckViolation,
    errors.StringDataRightTruncation,
    errors.CharacterNotInRepertoire,
    errors.NumericValueOutOfRange,
    errors.ProgramLimitExceeded,  # an OperationalError, but of an index entry that is too long
    errors.RaiseException,  # a trigger of the host's
]


def failing_once(error: Exception) -> Any:
    """The posting service as it is, after one failure."""
    failures, post_many = iter([error]), posting.post_many

    def fail_or_post(posts: list[posting.Post], **options: Any) -> Any:
        if (failure := next(failures, None)) is not None:
            raise failure
        return post_many(posts, **options)

    return patch.object(posting, "post_many", fail_or_post)


@pytest.mark.parametrize("kind", AWAY, ids=lambda each: each.__name__)
def test_a_database_that_is_away_for_a_moment_is_tried_again_with_the_whole_batch(
    ana: Any, lobby: Room, caplog: pytest.LogCaptureFixture, kind: Any
) -> None:
    with failing_once(django_error(kind("of the test"))):
        outcomes = outcomes_of([post_of(ana, lobby), post_of(ana, lobby)])
    assert [each.number for each in posted(outcomes)] == [1, 2]
    assert "again in" in caplog.text
    assert "one by one" not in caplog.text


@pytest.mark.parametrize("kind", [*AWAY, *BUGS], ids=lambda each: each.__name__)
def test_a_temporary_error_is_never_answered_as_final(ana: Any, lobby: Room, settings: Any, kind: Any) -> None:
    settings.CHAT = {**settings.CHAT, "WRITER_RETRY_S": 0.0}
    with patch.object(posting, "post_many", side_effect=django_error(kind("of the test"))):
        outcomes = outcomes_of([post_of(ana, lobby), post_of(ana, lobby)])
    assert [(type(each), each.retry) for each in outcomes] == [(ServerError, True)] * 2


@pytest.mark.parametrize("kind", BUGS, ids=lambda each: each.__name__)
def test_a_change_that_meets_a_bug_costs_its_neighbours_nothing(ana: Any, lobby: Room, kind: Any) -> None:
    def bug() -> None:
        raise django_error(kind("of the test"))

    first, failed, last = outcomes_of([post_of(ana, lobby), Call(ana, bug), post_of(ana, lobby)])
    assert (first.number, last.number) == (1, 2)
    assert (type(failed), failed.retry) == (ServerError, True)
    check_log(lobby)


def test_a_first_run_that_takes_as_long_as_a_dead_connection_has_a_second_one(
    ana: Any, lobby: Room, settings: Any
) -> None:
    """The time to try again counts from the first failure: a machine that is gone is noticed after 10 s."""
    settings.CHAT = {**settings.CHAT, "WRITER_RETRY_S": 0.5}
    clock = count(100.0, 10.0)
    with (
        failing_once(OperationalError("timeout")),
        patch.object(batch, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=time.sleep)),
    ):
        (outcome,) = outcomes_of([post_of(ana, lobby)])
    assert outcome.number == 1


def test_a_change_that_meets_a_lock_is_put_aside_with_the_later_ones_of_the_same_person(
    ana: Any, ben: Any, lobby: Room, staff: Room
) -> None:
    """A lock that is not a room's, so the database alone can tell."""
    post_many, runs = posting.post_many, []

    def locked(posts: list[posting.Post], **options: Any) -> Any:
        runs.append([each.body for each in posts])
        if any(each.room_id == lobby.pk for each in posts):
            raise django_error(errors.LockNotAvailable("of the test"))
        return post_many(posts, **options)

    who_where = [(ana, staff), (ana, lobby), (ana, staff), (ben, staff), (ben, lobby), (ben, staff)]
    jobs = [Job(post_of(who, room, f"{n}")) for n, (who, room) in enumerate(who_where)]
    with patch.object(posting, "post_many", locked):
        outcomes = batch.run(jobs)
    assert [each is batch.LOCKED for each in outcomes] == [False, True, True, False, True, True]
    assert runs == [["0", "1", "2", "3", "4", "5"], ["0", "1", "2", "3", "4", "5"], ["0"], ["1"], ["3"], ["4"]]
    assert [each.change.body for each in jobs if each.locked_since] == ["1", "4"]  # type: ignore[union-attr]
    check_log(staff)


@pytest.mark.parametrize("kind", NEVER, ids=lambda each: each.__name__)
def test_a_row_that_is_refused_is_answered_for_good_at_once(ana: Any, lobby: Room, kind: Any) -> None:
    with patch.object(posting, "post_many", side_effect=django_error(kind("of the test"))) as runs:
        (outcome,) = outcomes_of([post_of(ana, lobby)])
    assert (type(outcome), outcome.retry) == (ServerError, False)
    assert runs.call_count == 1, "nothing is gained by trying again"


def test_the_class_counts_where_there_is_no_sqlstate(ana: Any, lobby: Room, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "WRITER_RETRY_S": 0.0}
    for error, may_pass in (
        (OperationalError("database or disk is full"), True),
        (OperationalError("attempt to write a readonly database"), True),
        (IntegrityError("UNIQUE constraint failed"), False),
    ):
        with patch.object(posting, "post_many", side_effect=error):
            (outcome,) = outcomes_of([post_of(ana, lobby)])
        assert outcome.retry is may_pass


def sqlite_error(sql: str) -> Error:
    """What Django raises for a statement on an empty database of SQLite's that is read-only."""
    with sqlite3.connect(":memory:") as empty:
        empty.execute("PRAGMA query_only = 1")
        try:
            empty.execute(sql)
        except sqlite3.Error as cause:
            made = OperationalError(*cause.args)
            made.__cause__ = cause
            return made
    raise AssertionError("the premise")


@pytest.mark.parametrize(
    ("sql", "is_away"),
    [("CREATE TABLE room (id)", True), ("SELECT nonsense", False), ("INSERT INTO gone VALUES (1)", False)],
)
def test_sqlites_codes_tell_a_database_that_is_away_from_a_statement_that_is_wrong(sql: str, is_away: bool) -> None:
    error = sqlite_error(sql)
    assert database_errors.is_unavailable(error) is is_away
    assert not database_errors.is_final(error), "a migration may still come"


@contextmanager
def read_only_connection() -> Iterator[None]:
    """This thread's connection, and no later one, is to a database that takes no writes, as before a fail-over."""
    options = connection.settings_dict["OPTIONS"]
    pool = options.get("pool")
    connection.close()
    options.pop("pool", None)  # it would hand out the same connection again
    try:
        with connection.cursor() as cursor:
            postgresql = connection.vendor == "postgresql"
            cursor.execute("SET default_transaction_read_only = on" if postgresql else "PRAGMA query_only = 1")
        yield
    finally:
        connection.close()
        if pool is not None:
            options["pool"] = pool


def test_a_read_only_database_refuses_nobody_and_posts_go_through_when_it_is_over(ana: Any, lobby: Room) -> None:
    with read_only_connection():
        with pytest.raises(Error):  # the premise
            lobby.save()
        outcomes = outcomes_of([post_of(ana, lobby, f"{n}") for n in range(3)])
    assert [each.number for each in posted(outcomes)] == [1, 2, 3]
    assert numbers(lobby) == [1, 2, 3]
    check_log(lobby)


def test_a_change_that_the_connection_died_under_is_run_again_and_not_answered_as_failed(ana: Any, lobby: Room) -> None:
    """``InterfaceError`` is no ``DatabaseError``: it was taken for a bug of the change."""

    died = iter([InterfaceError("the connection is closed")])

    def change() -> str:
        if (error := next(died, None)) is not None:
            raise error
        return "done"

    assert outcomes_of([Call(ana, change), post_of(ana, lobby)])[0] == "done"
    assert numbers(lobby) == [1]
