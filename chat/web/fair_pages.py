"""Pages by turns: one person's flood of requests is not another's delay. An ASGI middleware for all of a site's pages.

Each page keeps a thread busy, and threads compete for the interpreter with the event loop and the writer. Without
turns, forty connections of one person made everybody's posts wait for a tenth of a second, most of them with requests
that were refused: Django takes milliseconds to find out whose request it is.
"""

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Hashable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import translation
from django.utils.translation import gettext as _

from chat.runtime.switching import giving_way
from chat.runtime.turns import Turns

OF_ONE, OF_ADDRESS = 2, 4
"""Pages that are made at once for one person, and for one address where nobody is signed in. More would not be ready
sooner: they share one interpreter."""
AT_ONCE = 16
"""Pages that are made at once. Few, because each has a thread; not as few as there are processors, because some wait
for the database or for a mail server."""
WAITING_OF_ONE = 200
WAITING = 2_000
"""Requests that may wait for their turn; any more are refused."""
REFUSED_AFTER_S = 1.0
"""After how long whoever goes on is refused. A client that sends its next request after the answer sends one a second;
refused at once, forty of them kept the event loop busy."""
HELD_OF_ONE, HELD = 50, 1_000
"""Refusals that may wait for that, of one person and in all; any more are answered at once."""
SESSIONS_KNOWN = 10_000
SCOPE_KEY = "chat.asker"


@dataclass
class Asker:
    """What is found out about a request while it is answered."""

    person: str | None = None
    refused_for_s: float = 0.0


def tell(request: HttpRequest, person: str, *, refused_for_s: float) -> None:
    """Say whose request this is, and for how long such requests of theirs are refused."""
    asker = getattr(request, "scope", {}).get(SCOPE_KEY)  # a request over WSGI has no scope
    if asker is not None:
        asker.person, asker.refused_for_s = person, refused_for_s


class FairPages:
    """Let people take turns at the pages of ``app``, and refuse, without asking ``app``, those who go on after a 429.

    A turn begins when the whole request has come, and ends when its response begins, so neither a slow sender nor a
    long response holds one. A view of your site that waits before it responds (long polling) does: leave this out then.

    Args:
        trusted_proxies: How many proxies in front of this server add to ``X-Forwarded-For``. Who is not signed in
            shares turns with those of the same address.
        at_once: Paths that take no turn: a proxy that asks how the server is must not wait for anybody.
    """

    def __init__(self, app: Any, *, trusted_proxies: int = 0, at_once: Collection[str] = ()):
        self._app = app
        self._proxies = trusted_proxies
        self._at_once = at_once
        self._turns: Turns[asyncio.Future[None]] = Turns(lambda key: OF_ONE if isinstance(key, str) else OF_ADDRESS)
        self._under_way = 0
        self._people: OrderedDict[bytes, str] = OrderedDict()
        self._refused_until: OrderedDict[tuple[Hashable, bool], float] = OrderedDict()
        self._held: Counter[Hashable] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in self._at_once:
            await self._app(scope, receive, send)
            return
        headers = _joined(scope["headers"])
        session = _session_of(headers)
        key = self._people.get(session) or self._address_of(scope, headers)
        kind = (key, scope["method"] in ("GET", "HEAD"))
        if self._refused_until.get(kind, 0.0) > time.monotonic() and not _is_static(scope):
            await self._refuse_later(kind, scope, send)
        elif len(self._turns) >= WAITING or self._turns.waiting_of(key) >= WAITING_OF_ONE:
            await _refuse(1.0, scope, send)
        else:
            asker = Asker()
            await self._answer(key, {**scope, SCOPE_KEY: asker}, receive, send)
            if asker.person and session:
                _put(self._people, session, asker.person)
                if asker.refused_for_s:
                    _put(self._refused_until, (asker.person, kind[1]), time.monotonic() + asker.refused_for_s)

    async def _answer(self, key: Hashable, scope: Any, receive: Any, send: Any) -> None:
        with ExitStack() as turn:

            async def receive_and_wait() -> Any:
                event = await receive()
                if event["type"] == "http.request" and not event.get("more_body"):
                    await self._begin(key)
                    turn.callback(self._end, key)
                    turn.enter_context(giving_way())
                return event

            async def send_and_end(event: Any) -> None:
                if event["type"] == "http.response.start":
                    turn.close()
                await send(event)

            await self._app(scope, receive_and_wait, send_and_end)

    async def _begin(self, key: Hashable) -> None:
        begins = asyncio.get_running_loop().create_future()
        self._turns.put(key, begins)
        self._start_next()
        try:
            await begins
        except asyncio.CancelledError:
            if begins.done() and not begins.cancelled():
                self._end(key)
            raise

    def _end(self, key: Hashable) -> None:
        self._under_way -= 1
        self._turns.finish(key)
        self._start_next()

    def _start_next(self) -> None:
        while self._under_way < AT_ONCE and (taken := self._turns.take()) is not None:
            key, begins = taken
            if begins.done():  # its client has gone
                self._turns.finish(key)
            else:
                self._under_way += 1
                begins.set_result(None)

    async def _refuse_later(self, kind: tuple[Hashable, bool], scope: Any, send: Any) -> None:
        wait_s = self._refused_until[kind] - time.monotonic()
        if self._held[kind] < HELD_OF_ONE and self._held.total() < HELD:
            self._held[kind] += 1
            try:
                await asyncio.sleep(REFUSED_AFTER_S)
            finally:
                self._held[kind] -= 1
                if not self._held[kind]:
                    del self._held[kind]
        await _refuse(wait_s, scope, send)

    def _address_of(self, scope: Any, headers: dict[bytes, bytes]) -> bytes:
        if self._proxies:
            hops = headers.get(b"x-forwarded-for", b"").split(b",")
            return hops[-self._proxies].strip() if len(hops) >= self._proxies else b""
        return str((scope.get("client") or [""])[0]).encode()


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The values of each name together, as Django reads them."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        separator = b"; " if name == b"cookie" else b", "
        joined[name] = joined[name] + separator + value if name in joined else value
    return joined


def _session_of(headers: dict[bytes, bytes]) -> bytes:
    """What tells a session from others, without being its key; nothing where there is no session."""
    cookie = headers.get(b"cookie", b"").decode("latin1")
    key = parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME) if cookie else None
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() if key else b""


def _is_static(scope: Any) -> bool:
    is_read = scope["method"] in ("GET", "HEAD")
    return is_read and bool(settings.STATIC_URL) and scope["path"].startswith(settings.STATIC_URL)


def _put(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > SESSIONS_KNOWN:
        kept.popitem(last=False)


async def _refuse(wait_s: float, scope: Any, send: Any) -> None:
    with translation.override(translation.get_language_from_request(ASGIRequest(scope, BytesIO()))):
        text = _("That was too fast. Wait a moment.").encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(max(1, int(wait_s) + 1)).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": text})
