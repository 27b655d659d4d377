"""Where messages wait until the server has acknowledged them: in memory, or in a file that outlives the process."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from chat.client.core.outbox import OutboxItem

T = TypeVar("T")


class OutboxInUse(Exception):
    """Another process uses this outbox: two senders would break the order of the messages."""


class OutboxStore(Protocol):
    """What ``ChatClient`` needs from an outbox. It serves one site; each of its messages belongs to one user."""

    async def open(self, site: str) -> None:
        """Open the outbox for ``site``, the URL of its socket.

        Raises:
            OutboxInUse: Another process uses it.
        """

    async def load(self, user: str) -> list[OutboxItem]:
        """Return the user's messages, oldest first."""

    async def add(self, item: OutboxItem) -> None:
        """Store a message. When this returns, it is as safe as this outbox can make it."""

    async def remove(self, client_ids: Iterable[str]) -> None:
        """Remove messages. Unknown ids are ignored."""

    async def close(self) -> None:
        """Release files and locks."""


class MemoryOutbox:
    """Keeps messages in memory: they survive lost connections, but not the end of the process."""

    def __init__(self) -> None:
        self._items: dict[str, OutboxItem] = {}

    async def open(self, site: str) -> None:
        pass

    async def load(self, user: str) -> list[OutboxItem]:
        return [item for item in self._items.values() if item.user == user]

    async def add(self, item: OutboxItem) -> None:
        self._items[item.client_id] = item

    async def remove(self, client_ids: Iterable[str]) -> None:
        for client_id in client_ids:
            self._items.pop(client_id, None)

    async def close(self) -> None:
        pass


class SqliteOutbox:
    """Keeps messages in a SQLite file: they survive the end of the process, and a power failure.

    Several sites and users may share a file; only one process at a time may open it.

    Args:
        path: The file; made if there is none. A file beside it, named ``….lock``, is locked while the outbox is open.
    """

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._site = ""
        # One thread, because SQLite connections must stay in the thread that made them. It also keeps calls in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._database: sqlite3.Connection | None = None
        self._lock: sqlite3.Connection | None = None

    async def open(self, site: str) -> None:
        self._site = site
        await self._run(self._open)

    async def load(self, user: str) -> list[OutboxItem]:
        query = "SELECT item FROM outbox WHERE site = ? AND user = ? ORDER BY place"
        rows = await self._run(lambda: self._connection.execute(query, (self._site, user)).fetchall())
        return [msgspec.json.decode(row[0], type=OutboxItem) for row in rows]

    async def add(self, item: OutboxItem) -> None:
        values = (item.client_id, self._site, item.user, msgspec.json.encode(item))
        insert = "INSERT OR IGNORE INTO outbox (client_id, site, user, item) VALUES (?, ?, ?, ?)"
        await self._run(lambda: self._connection.execute(insert, values))

    async def remove(self, client_ids: Iterable[str]) -> None:
        rows = [(client_id, self._site) for client_id in client_ids]

        def delete() -> None:
            self._connection.execute("BEGIN")
            self._connection.executemany("DELETE FROM outbox WHERE client_id = ? AND site = ?", rows)
            self._connection.execute("COMMIT")

        await self._run(delete)

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._database is not None, "the outbox is not open"
        return self._database

    def _open(self) -> None:
        # A lock held by SQLite works on every system, and is released with the process, however that ends.
        lock = sqlite3.connect(f"{self._path}.lock", timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise OutboxInUse(f"Another process uses the outbox {self._path}.") from error
        self._lock = lock
        self._database = sqlite3.connect(self._path, timeout=20, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # With NORMAL, a power failure may lose the last commits; an outbox must not.
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS outbox (place INTEGER PRIMARY KEY AUTOINCREMENT, client_id TEXT NOT NULL,"
            " site TEXT NOT NULL, user TEXT NOT NULL, item BLOB NOT NULL, UNIQUE (site, client_id))"
        )

    def _close(self) -> None:
        for connection in (self._database, self._lock):
            if connection is not None:
                connection.close()
        self._database = self._lock = None
