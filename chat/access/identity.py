"""Who is calling: from a session cookie, from a bearer token; and whether the page that asks is one of ours.

Synchronous. What reads the database is called on the ``auth`` pool, never on the event loop.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.sessions.backends.db import SessionStore as DatabaseSession
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from chat.access.policy import policy
from chat.conf import conf
from chat.models import Token
from chat.models.best_effort import write_if_possible
from chat.models.prepared import Prepared
from chat.wire.errors import Close
from chat.wire.protocol import is_storable

_ORIGIN = re.compile(r"https?://[^\s/?#@\\]+", re.IGNORECASE)
"""What browsers send as an origin; ``urlsplit`` alone would tolerate much more."""
_tokens = Prepared(lambda digest: Token.objects.select_related("user").filter(digest=digest, revoked_at=None), str)
USED_EVERY = timedelta(minutes=5)
"""The resolution of ``Token.last_used_at``: a bot that reconnects often must not write each time."""


@dataclass(frozen=True)
class Identity:
    """A signed-in person and what proved it: one of ``session_key`` and ``token_id`` is set."""

    user: Any
    session_key: str | None = None
    token_id: int | None = None
    session_hash: str = ""
    """Changes with the password, because Django signs a session with it."""

    @property
    def user_id(self) -> str:
        """The person's id on the wire."""
        return str(self.user.pk)


def session_key_in(cookies: str) -> str | None:
    """The session's key in a ``Cookie`` header; None without one. Cheap enough for the event loop.

    The other cookies are not read: to unquote one took Python a quarter of a second before 3.11.10 and 3.12.6
    (CVE-2024-7592).
    """
    found = ""
    for pair in cookies.split(";"):
        name, is_pair, value = pair.partition("=")
        if is_pair and name.strip() == settings.SESSION_COOKIE_NAME:
            found = value.strip()
    if len(found) >= 2 and found[0] == found[-1] == '"':
        found = found[1:-1]
    return found if found and "\\" not in found else None


def from_session(session_key: str | None) -> Identity | None:
    """The person of a live session, or None. Follows Django's own rules, the session hash included."""
    if not session_key or not is_storable(session_key):
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(SimpleNamespace(session=_Reading(store.items())))  # type: ignore[arg-type]
    if not policy().is_welcome(user):
        return None
    return Identity(user, session_key=session_key, session_hash=_session_hash(user))


class _Reading(dict[str, Any]):
    """A session that can only be looked at.

    After a change of ``SECRET_KEY``, ``get_user`` moves the session to a new key, which no socket can tell the
    browser: its cookie would be void, and the person signed out.
    """

    def cycle_key(self) -> None:
        pass

    def flush(self) -> None:
        pass


def _session_hash(user: Any) -> str:
    return str(user.get_session_auth_hash()) if hasattr(user, "get_session_auth_hash") else ""


def digest(token: str) -> str:
    """The form in which a token is stored and looked up. Tokens are long and random, so one plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def from_token(token: str | None) -> Identity | None:
    """The person that a bearer token stands for, or None when it is wrong, revoked or expired."""
    if not token:
        return None
    row = next(iter(_tokens(digest(token))), None)
    now = timezone.now()
    if row is None or (row.expires_at and row.expires_at <= now) or not policy().is_welcome(row.user):
        return None
    if row.last_used_at is None or now - row.last_used_at > USED_EVERY:
        write_if_possible(lambda: Token.objects.filter(pk=row.pk).update(last_used_at=now))
    return Identity(row.user, token_id=row.pk)


@dataclass(frozen=True)
class Check:
    """What became of some identities: those that ended, with the code to close their sockets with; and the people as
    they are now, by key: a user object that lives as long as a socket would keep rights that were taken."""

    ended: dict[Identity, Close]
    people: dict[Any, Any]


def check(identities: list[Identity]) -> Check:
    """Look whether sessions and tokens still hold.

    One query for people, one for tokens, one for sessions (one a session where the engine knows no other way).
    """
    people = get_user_model()._default_manager.in_bulk({each.user.pk for each in identities})
    tokens = set(
        Token.objects.filter(pk__in={each.token_id for each in identities if each.token_id}, revoked_at=None)
        .exclude(expires_at__lte=timezone.now())
        .values_list("pk", flat=True)
    )
    sessions = _live_sessions({each.session_key for each in identities if each.session_key})
    ended = {}
    for each in identities:
        user = people.get(each.user.pk)
        if not policy().is_welcome(user):
            ended[each] = Close.BANNED
        elif each.token_id:
            if each.token_id not in tokens:
                ended[each] = Close.NOT_SIGNED_IN
        elif each.session_key not in sessions or each.session_hash != _session_hash(user):
            ended[each] = Close.SESSION_ENDED
    return Check(ended, people)


def _live_sessions(keys: set[str]) -> set[str]:
    engine = import_module(settings.SESSION_ENGINE).SessionStore
    live: set[str] = set()
    if issubclass(engine, DatabaseSession):
        rows = engine.get_model_class().objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        live = set(rows.values_list("session_key", flat=True))
        if engine is DatabaseSession:
            return live
    # Not exists(): to the engine that keeps sessions in signed cookies, none ever does.
    return live | {key for key in keys - live if engine(key).load()}


def origin_allowed(origin: str, *, host: str, secure: bool) -> bool:
    """Whether a page of ``origin`` may open the socket: scheme, host and port all count.

    Allowed are the site itself (as the ``Host`` header names it, if that is one of ``ALLOWED_HOSTS``),
    ``CSRF_TRUSTED_ORIGINS`` and ``CHAT["ORIGINS"]``. ``null`` never is.
    """
    given = _parts(origin)
    if given is None:
        return False
    if given == _parts(f"{'https' if secure else 'http'}://{host}") and _is_our_host(host):
        return True
    trusted = (*settings.CSRF_TRUSTED_ORIGINS, *conf.origins)
    return any(_matches(given, each) for each in trusted)


def _is_our_host(host: str) -> bool:
    domain, _ = split_domain_port(host)
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = [".localhost", "127.0.0.1", "[::1]"]
    return bool(domain) and validate_host(domain, allowed)


def _parts(origin: str) -> tuple[str, str, int] | None:
    if not _ORIGIN.fullmatch(origin):
        return None
    try:
        split = urlsplit(origin)
        port = split.port
    except ValueError:
        return None
    if not split.hostname:
        return None
    return split.scheme, split.hostname, port if port is not None else (443 if split.scheme == "https" else 80)


def _matches(given: tuple[str, str, int], pattern: str) -> bool:
    """``pattern`` is a full origin; ``https://*.example.com`` stands for all subdomains, as in Django."""
    wanted = _parts(pattern.replace("://*.", "://", 1))
    if wanted is None or given[0] != wanted[0] or given[2] != wanted[2]:
        return False
    return given[1].endswith("." + wanted[1]) if "://*." in pattern else given[1] == wanted[1]
