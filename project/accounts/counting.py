"""The cache that rate limits count in: Django's database cache, which goes on counting while it can't be written."""

import base64
import pickle
from datetime import UTC, datetime
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import Error, connections, router
from django.utils import timezone

from chat.models.best_effort import brief_transaction


class CountingCache(DatabaseCache):
    """Counts in the memory of the process while the database can't be written, so that limits still hold and nobody who
    made no attempt is refused. Django's own backend would take the failed write for a lost race.

    A key in memory counts until this process has written the same key to the database again. That write overwrites
    what other processes have counted there in the meantime.
    """

    _table: str

    def __init__(self, table: str, params: dict[str, Any]):
        super().__init__(table, params)
        self._memory = LocMemCache("accounts.counting", params)  # one for all threads of the process

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        kept = self._memory.get(key, version=version)
        return super().get(key, default, version) if kept is None else kept

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        try:
            super().set(key, value, timeout, version)
        except Error:
            self._memory.set(key, value, timeout, version)
        else:
            self._memory.delete(key, version)

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        if self._memory.has_key(key, version):
            return False
        try:
            return bool(super().add(key, value, timeout, version))
        except Error:
            return self._memory.add(key, value, timeout, version)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self._memory.has_key(key, version) or bool(super().has_key(key, version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        kept = self._memory.delete(key, version)
        return super().delete(key, version) or kept

    def _base_set(self, mode: str, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT) -> bool:
        """Unlike Django's, write in one statement and let errors through. Of two simultaneous ``add``, one succeeds."""
        if mode == "touch":
            return bool(super()._base_set(mode, key, value, timeout))  # type: ignore[misc]
        alias = router.db_for_write(self.cache_model_class)
        db, now = connections[alias], timezone.now().replace(microsecond=0)
        at = self.get_backend_timeout(timeout)
        until = datetime.max if at is None else datetime.fromtimestamp(int(at), tz=UTC)
        table = db.ops.quote_name(self._table)
        stored = base64.b64encode(pickle.dumps(value, self.pickle_protocol)).decode()
        sql = (
            f"INSERT INTO {table} (cache_key, value, expires) VALUES (%s, %s, %s) ON CONFLICT (cache_key) "  # noqa: S608
            f"DO UPDATE SET value = excluded.value, expires = excluded.expires"
        )
        values = [key, stored, db.ops.adapt_datetimefield_value(until)]
        if mode == "add":
            sql += f" WHERE {table}.expires < %s"
            values.append(db.ops.adapt_datetimefield_value(now))
        with brief_transaction(using=alias), db.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")  # noqa: S608
            if (entries := cursor.fetchone()[0]) > self._max_entries:
                self._cull(alias, cursor, now, entries)  # type: ignore[attr-defined]
            cursor.execute(sql, values)
            return bool(cursor.rowcount)

    def _base_delete_many(self, keys: Any) -> bool:
        """Ignore a failed deletion. Django deletes expired entries when it reads, which must not fail because of it."""
        if not keys:
            return False
        try:
            with brief_transaction(using=router.db_for_write(self.cache_model_class)):
                return bool(super()._base_delete_many(keys))  # type: ignore[misc]
        except Error:
            return False
