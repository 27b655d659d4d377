"""The chat's transactions on SQLite, whatever the site's settings say of its own."""

import sqlite3
from collections.abc import Iterator

import pytest
from django.db import connection

from chat.models.database import snapshot, write

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite"),
]


@pytest.fixture(params=[None, "IMMEDIATE"])
def mode(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What the site's settings say."""
    connection.ensure_connection()
    before, connection.transaction_mode = connection.transaction_mode, request.param  # type: ignore[attr-defined]
    yield request.param
    connection.transaction_mode = before  # type: ignore[attr-defined]


def somebody_else_may_write() -> bool:
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        other.close()
    return True


def test_a_writer_has_the_lock_from_the_start(mode: str | None) -> None:
    assert somebody_else_may_write(), "the premise"
    with write():
        assert not somebody_else_may_write(), "read and then written, it would fail with “locked”"
        assert connection.transaction_mode == mode  # type: ignore[attr-defined]
        with write():
            pass
    assert somebody_else_may_write()
    assert connection.transaction_mode == mode  # type: ignore[attr-defined]


def test_a_reader_never_has_it(mode: str | None) -> None:
    with snapshot():
        connection.cursor().execute("SELECT 1")
        assert somebody_else_may_write()
    assert connection.transaction_mode == mode  # type: ignore[attr-defined]


def test_the_mode_comes_back_when_a_change_fails(mode: str | None) -> None:
    with pytest.raises(ZeroDivisionError), write():
        raise ZeroDivisionError
    assert connection.transaction_mode == mode  # type: ignore[attr-defined]
