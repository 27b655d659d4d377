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
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from chat.runtime.switching import giving_way
from chat.runtime.turns import Turns

OF_PERSON, PEOPLE_AT_ONCE = 2, 16
"""Pages that are made at once for one person, and for all who are signed in. More for one would not be ready sooner,
because they share an interpreter; all together may be more than there are processors, because some wait for the
database."""
OF_ADDRESS, ADDRESSES_AT_ONCE = 4, 8
"""The same for one address, and for all who are not signed in. They have turns of their own: forms of theirs may wait
for a mail server that hangs, and people who are signed in must not wait with them."""
WAITING_OF_ONE, WAITING, WAITING_AT_MOST = 200, 2_000, 20_000
"""Requests that may wait for their turn: of one person or address; of all, before those who have one waiting already
are refused; and of all, before anybody is."""
REFUSED_AFTER_S = 1.0
"""After how long whoever goes on is refused. A client that sends its next request after the answer sends one a second;
refused at once, forty of them kept the event loop busy."""
HELD_OF_ONE, HELD = 50, 1_000
"""Refusals that may wait for that, of one person and in all; any more are answered at once."""
SESSIONS_KNOWN = 10_000
SCOPE_KEY = "chat.asker"
TOO_FAST = _("That was too fast. Wait a moment.")


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


class Gate:
    """Lets requests through by turns, each under the key of who asks. Runs on one event loop."""

    def __init__(self, *, of_one: int, at_once: int):
        self._turns: Turns[asyncio.Future[None]] = Turns(lambda key: of_one)
        self._at_once = at_once
        self._under_way = 0

    def is_full_for(self, key: Hashable) -> bool:
        """Whether too many wait for one more of this key to wait."""
        mine = self._turns.waiting_of(key)
        return mine >= WAITING_OF_ONE or len(self._turns) >= (WAITING if mine else WAITING_AT_MOST)

    def enter(self, key: Hashable) -> asyncio.Future[None]:
        """A future that is done once it is this request's turn. Whoever cancels it before that has had none."""
        begins: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.put(key, begins)
        self._start_next()
        return begins

    def leave(self, key: Hashable) -> None:
        """End a turn."""
        self._under_way -= 1
        self._turns.finish(key)
        self._start_next()

    def _start_next(self) -> None:
        while self._under_way < self._at_once and (taken := self._turns.take()) is not None:
            key, begins = taken
            if begins.done():  # its client has gone
                self._turns.finish(key)
            else:
                self._under_way += 1
                begins.set_result(None)


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
        self._gates = {
            True: Gate(of_one=OF_PERSON, at_once=PEOPLE_AT_ONCE),
            False: Gate(of_one=OF_ADDRESS, at_once=ADDRESSES_AT_ONCE),
        }
        self._people: OrderedDict[bytes, str] = OrderedDict()
        self._refused_until: OrderedDict[tuple[Hashable, bool], float] = OrderedDict()
        self._held: Counter[Hashable] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in self._at_once:
            await self._app(scope, receive, send)
            return
        headers = _joined(scope["headers"])
        session = _session_of(headers)
        person = self._people.get(session)
        key = person or self._address_of(scope, headers)
        gate = self._gates[person is not None]
        kind = (key, scope["method"] in ("GET", "HEAD"))
        if self._refused_until.get(kind, 0.0) > time.monotonic() and not _is_static(scope):
            await self._refuse_later(kind, scope, send)
        elif gate.is_full_for(key):
            await _refuse(1.0, scope, send)
        else:
            asker = Asker()
            await self._answer(gate, key, {**scope, SCOPE_KEY: asker}, receive, send)
            if asker.person and session:
                _put(self._people, session, asker.person)
                if asker.refused_for_s:
                    _put(self._refused_until, (asker.person, kind[1]), time.monotonic() + asker.refused_for_s)

    async def _answer(self, gate: Gate, key: Hashable, scope: Any, receive: Any, send: Any) -> None:
        turn = ExitStack()
        left: asyncio.Task[Any] | None = None

        async def receive_and_wait() -> Any:
            nonlocal left
            if left is not None:
                return await left
            event = await receive()
            if event["type"] == "http.request" and not event.get("more_body"):
                begins = gate.enter(key)
                turn.callback(_give_back, gate, key, begins)
                if not begins.done():
                    left = asyncio.ensure_future(receive())
                    await asyncio.wait({begins, left}, return_when=asyncio.FIRST_COMPLETED)
                    if not begins.done():
                        return await left  # the client has gone: nothing is made for it
                turn.enter_context(giving_way())
            return event

        async def send_and_end(event: Any) -> None:
            if event["type"] == "http.response.start":
                turn.close()
            await send(event)

        try:
            await self._app(scope, receive_and_wait, send_and_end)
        finally:
            turn.close()
            if left is not None:
                left.cancel()

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
        """The client's address; the network of an IPv6 address (/64), of which one client has as many as it likes."""
        hops = headers.get(b"x-forwarded-for", b"").decode("latin1").split(",")
        is_forwarded = 0 < self._proxies <= len(hops)
        address = hops[-self._proxies].strip() if is_forwarded else str((scope.get("client") or [""])[0])
        try:
            known = ip_address(address)
        except ValueError:
            return address.encode()
        return known.packed[:8] if known.version == 6 else known.packed


def _give_back(gate: Gate, key: Hashable, begins: asyncio.Future[None]) -> None:
    if not begins.cancel() and not begins.cancelled():
        gate.leave(key)


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
        text = str(TOO_FAST).encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"cache-control", b"no-store"),
        (b"retry-after", str(max(1, int(wait_s) + 1)).encode()),
    ]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": text})
