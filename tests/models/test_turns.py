"""Writers of several processes take turns at SQLite's one lock."""

import sqlite3
import threading
import time
from typing import Any

import pytest
from django.db import OperationalError, connection

from chat.models.database import write

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL's locks queue by themselves"),
]
HOLDS_S, GAP_S = 0.05, 0.0005


def another() -> sqlite3.Connection:
    """A connection such as another process has."""
    path = connection.settings_dict["NAME"]
    return sqlite3.connect(path, timeout=20, isolation_level=None, check_same_thread=False)


def busy_ms() -> Any:
    return connection.connection.execute("PRAGMA busy_timeout").fetchone()[0]


def test_a_writer_that_hardly_pauses_leaves_the_lock_to_others_soon() -> None:
    other, ended, turns = another(), threading.Event(), [0]

    def hold_again_and_again() -> None:
        while not ended.is_set():
            other.execute("BEGIN IMMEDIATE")
            turns[0] += 1
            time.sleep(HOLDS_S)
            other.execute("ROLLBACK")
            time.sleep(GAP_S)

    holder = threading.Thread(target=hold_again_and_again)
    holder.start()
    try:
        waited = []
        for _ in range(15):
            before = turns[0]
            with write():
                waited.append(turns[0] - before)
    finally:
        ended.set()
        holder.join()
        other.close()
    assert sum(waited) <= 40, waited


def test_a_lock_that_is_not_let_go_of_is_waited_for_as_long_as_the_site_says() -> None:
    other = another()
    connection.ensure_connection()
    given = busy_ms()
    connection.connection.execute("PRAGMA busy_timeout = 150")
    other.execute("BEGIN IMMEDIATE")
    try:
        began = time.monotonic()
        with pytest.raises(OperationalError, match="locked"), write():
            pass
        assert time.monotonic() - began >= 0.15
        assert busy_ms() == 150, "what the site says stays"
        assert not connection.in_atomic_block
    finally:
        other.execute("ROLLBACK")
        other.close()
        connection.connection.execute(f"PRAGMA busy_timeout = {given}")
    with write():
        assert busy_ms() == given
