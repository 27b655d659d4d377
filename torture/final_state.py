"""Reads what the database holds at the end of a run, past the product: plain SQL, so that its own code is not asked."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import psycopg

from torture.recorder import Recorder, state_of

ROOMS = "SELECT id, kind, epoch, head, last_number, changed_seq FROM chat_room WHERE deleted_at IS NULL"
MEMBERS = "SELECT room_id, user_key, changed_seq, left_at IS NULL FROM chat_membership"
MESSAGES = """
    SELECT room_id, id, number, seq, changed_seq, user_key, client_id, body, body_hash, reply_number, reactions,
           deleted_at IS NOT NULL
    FROM chat_message ORDER BY room_id, number
"""


class Database:
    """A site's database, by its URL."""

    def __init__(self, url: str):
        self._url = url

    def is_locked(self) -> bool:
        """Whether somebody holds SQLite's one lock for writing."""
        with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False

    def rows(self, sql: str) -> list[Any]:
        return self.snapshot(sql)[0]

    def snapshot(self, *queries: str) -> list[list[Any]]:
        """Answers of one and the same moment, whatever is written meanwhile."""
        with self._connection() as connection:
            connection.execute("BEGIN" if self._is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return [list(connection.execute(sql).fetchall()) for sql in queries]

    def heads(self) -> dict[str, tuple[str, int, int]]:
        """Each room's epoch, head and last number."""
        return {str(id): (epoch, head, number) for id, _, epoch, head, number, _ in self.rows(ROOMS)}

    def present(self) -> set[tuple[str, str]]:
        """Who is in which room."""
        return {(str(room), user) for room, user, _, is_present in self.rows(MEMBERS) if is_present}

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        if self._is_sqlite:
            with closing(sqlite3.connect(self._path, timeout=20, isolation_level=None)) as connection:
                yield connection
        else:
            # Without a time-out of its own, this would wait as long as a database hangs that is being tortured.
            with psycopg.connect(self._url.split("?")[0], connect_timeout=5, autocommit=True) as connection:
                yield connection

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self._url).path)

    @property
    def _is_sqlite(self) -> bool:
        return self._url.startswith("sqlite")


def record(database: Database, recorder: Recorder) -> None:
    """Add the rooms, memberships and messages that the database holds to the history."""
    rooms, members, messages = database.snapshot(ROOMS, MEMBERS, MESSAGES)
    for id, kind, epoch, head, last_number, changed in rooms:
        recorder.state("room", id=str(id), kind=kind, epoch=epoch, head=head, last_number=last_number, changed=changed)
    for room, user, changed, is_present in members:
        recorder.state("member", room=str(room), user=user, changed=changed, present=bool(is_present))
    for room, id, number, seq, changed, user, client_id, body, body_hash, reply, reactions, deleted in messages:
        given = json.loads(reactions) if isinstance(reactions, str) else reactions
        state = state_of(
            id=str(id),
            number=number,
            seq=seq,
            changed=changed,
            author=user,
            client_id=str(UUID(str(client_id))),
            body=body,
            reply_to=reply,
            reactions=[(each["emoji"], each["count"]) for each in given],
            is_deleted=bool(deleted),
        )
        recorder.state(
            "row",
            room=str(room),
            number=number,
            seq=seq,
            changed=changed,
            message=str(id),
            author=user,
            id=str(UUID(str(client_id))),
            hash=bytes(body_hash).hex(),
            deleted=bool(deleted),
            state=state,
        )
