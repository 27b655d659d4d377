"""Sessions in the database; while that can't be written, whoever signs in gets theirs in a signed cookie.

Such a session can be neither listed nor ended from another device, so it is short, and becomes an ordinary one with the
first page after the database can be written again. A new password ends it, as any other.
"""

import time
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseSession
from django.core import signing
from django.db import DEFAULT_DB_ALIAS, Error

from chat.models.best_effort import brief_transaction
from chat.models.database_errors import is_unavailable

UNSTORED = "unstored:"
"""How the key of a session in a cookie begins; the session itself follows. Keys in the database have no colon."""
SINCE = "_unstored_since"
LASTS_S = 3600
"""How long at most a session stays in its cookie, counted from the sign-in. Signing out deletes the cookie, but whoever
has copied it can use it for that long."""
SALT = "project.accounts.sessions"


def is_stored(key: str | None) -> bool:
    """Whether this is the key of a session in the database."""
    return not (key or "").startswith(UNSTORED)


class SessionStore(DatabaseSession):
    def load(self) -> dict[str, Any]:
        if is_stored(self.session_key):
            return super().load()
        try:
            signed = (self.session_key or "").removeprefix(UNSTORED)
            data: dict[str, Any] = signing.loads(signed, salt=SALT, serializer=self.serializer, max_age=LASTS_S)
            if time.time() - data[SINCE] > LASTS_S:
                raise signing.SignatureExpired
        except signing.BadSignature:
            self._session_key = None
            return {}
        self.modified = True  # so that the middleware saves it with each page, until that reaches the database
        return data

    def create(self) -> None:
        """Make a new key. If the database can't be written, the session goes into a cookie when it is saved."""
        try:
            with brief_transaction(using=DEFAULT_DB_ALIAS):
                super().create()
        except Error as error:
            if not is_unavailable(error):
                raise
            self._session_key = UNSTORED
            self._session_cache = getattr(self, "_session_cache", {})
            self.modified = True

    def save(self, must_create: bool = False) -> None:
        """Save in the database, or sign anew what can't be stored yet.

        Raises:
            Error: The database can't be written, and this session either lies there or belongs to nobody.
        """
        if self.session_key is None:
            self.create()
        elif must_create or is_stored(self.session_key):
            super().save(must_create)
        if not is_stored(self.session_key):
            self._store_or_sign()

    def _store_or_sign(self) -> None:
        data = {SINCE: time.time()} | dict(self.items())
        self.pop(SINCE, None)
        try:
            with brief_transaction(using=DEFAULT_DB_ALIAS):
                super().create()
        except Error as error:
            # A session without a person may hold what its visitor must not read.
            if not is_unavailable(error) or SESSION_KEY not in data:
                raise
            self._session_cache = data
            self._session_key = UNSTORED + signing.dumps(data, salt=SALT, serializer=self.serializer, compress=True)

    def delete(self, session_key: str | None = None) -> None:
        if is_stored(session_key or self.session_key):
            super().delete(session_key)
