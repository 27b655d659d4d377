"""Pages by turns: one person's flood of requests is not another's delay. An ASGI middleware for all of a site's pages.

Each page keeps a thread busy, and threads compete for the interpreter with the event loop and the writer. Without
turns, forty connections of one person made everybody's posts wait for a tenth of a second, most of them with requests
that were refused: Django takes milliseconds to find out whose request it is.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Collection, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from chat.access import identity
from chat.access.client_address import network_of
from chat.runtime.rates import TimeBudget
from chat.runtime.switching import giving_way
from chat.runtime.turns import Turns

OF_PERSON, PEOPLE_AT_ONCE = 2, 16
"""Pages that are made at once for one person, and for all who are signed in. More for one would not be ready sooner,
because they share an interpreter; all together may be more than there are processors, because some wait for the
database."""
OF_ADDRESS, ADDRESSES_AT_ONCE, PROBES_AT_ONCE = 4, 8, 32
"""The same for one address, and for all who are not signed in. They have turns of their own: forms of theirs may wait
for a mail server that hangs, and people who are signed in must not wait with them. Probes, which cost little, wait for
neither."""
SHARE, AT_ONCE_S = 0.3, 2.0
"""What the turns of one person or address may take of a processor in the long run, and at once. Beyond that they rest
in between: forms that take long to read, sent without end, would otherwise keep the interpreter busy."""
COUNTED_AT_MOST_S = 1.0
"""What counts of one turn: it may have waited for a mail server, which takes nobody's time."""
WAITING_OF_ONE, WAITING, WAITING_AT_MOST = 200, 2_000, 20_000
"""Requests that may wait for their turn: of one person or address; of all, before those who have one waiting already
are refused; and of all, before anybody is."""
REFUSED_AFTER_S = 1.0
"""After how long whoever goes on is refused. A client that sends its next request after the answer sends one a second;
refused at once, forty of them kept the event loop busy."""
ESCAPES_AT_MOST = 1_000
"""Backslashes in the cookies of a request; beyond that it is answered 400. Before 3.11.10 and 3.12.6, Python took half
a second for the 8,000 that fit in (CVE-2024-7592). Django's messages have some hundred at most."""
SESSIONS_KNOWN = 10_000
SCOPE_KEY = "chat.asker"
TOO_FAST = _("That was too fast. Wait a moment.")


@dataclass
class Asker:
    """What is found out about a request while it is answered: nothing, if it is for a file, which is everybody's."""

    is_found_out: bool = False
    person: str | None = None
    refused_for_s: float = 0.0


def tell(request: HttpRequest, person: str | None, *, refused_for_s: float = 0.0) -> None:
    """Say whose request this is, and for how long such requests of theirs are refused; None: of nobody signed in."""
    asker = getattr(request, "scope", {}).get(SCOPE_KEY)  # a request over WSGI has no scope
    if asker is not None:
        asker.is_found_out, asker.person, asker.refused_for_s = True, person, refused_for_s


class Gate:
    """Lets requests through by turns, each under the key of who asks. Runs on one event loop."""

    def __init__(self, *, of_one: int, at_once: int):
        self._turns: Turns[asyncio.Future[None]] = Turns(lambda key: of_one)
        self._at_once = at_once
        self._began: dict[asyncio.Future[None], float] = {}
        self._budget = TimeBudget(share=SHARE, at_once_s=AT_ONCE_S)

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

    def leave(self, key: Hashable, begins: asyncio.Future[None], *, counts: bool = True) -> None:
        """End the turn that began with this future.

        Args:
            counts: Whether it counts for the key. It does not if the key is an address, and the request a person's.
        """
        loop = asyncio.get_running_loop()
        took_s = min(loop.time() - self._began.pop(begins), COUNTED_AT_MOST_S)
        if counts and (rest_s := self._budget.rest_s(key, took_s, loop.time())):
            loop.call_later(rest_s, self._rested, key)
        else:
            self._turns.finish(key)
        self._start_next()

    def _rested(self, key: Hashable) -> None:
        self._turns.finish(key)
        self._start_next()

    def _start_next(self) -> None:
        while len(self._began) < self._at_once and (taken := self._turns.take()) is not None:
            key, begins = taken
            if begins.done():  # its client has gone
                self._turns.finish(key)
            else:
                self._began[begins] = asyncio.get_running_loop().time()
                begins.set_result(None)


class FairPages:
    """Let people take turns at the pages of ``app``, and refuse, without asking ``app``, those who go on after a 429.

    A turn begins when the whole request has come, and ends when its response begins, so neither a slow sender nor a
    long response holds one. A view of your site that waits before it responds (long polling) does: leave this out then.

    Args:
        at_once: Paths of probes, which take turns of their own: a proxy that asks how the server is must not wait for
            visitors.
        visitors_send: The largest request body, in bytes, that is accepted while nobody is signed in; a larger one is
            answered 413. Parsing a form takes up to half a second per megabyte, and comes before every other check.
    """

    def __init__(self, app: Any, *, at_once: Collection[str] = (), visitors_send: int = 256 * 1024):
        self._app = app
        self._visitors_send = visitors_send
        self._at_once = at_once
        self._of_people = Gate(of_one=OF_PERSON, at_once=PEOPLE_AT_ONCE)
        self._of_addresses = Gate(of_one=OF_ADDRESS, at_once=ADDRESSES_AT_ONCE)
        self._of_probes = Gate(of_one=OF_ADDRESS, at_once=PROBES_AT_ONCE)
        self._people: OrderedDict[bytes, str] = OrderedDict()
        self._refused_until: OrderedDict[tuple[Hashable, str], float] = OrderedDict()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope, cookies = _with_one_cookie_header(scope)
        if cookies.count("\\") > ESCAPES_AT_MOST:
            await _respond(400, "The cookies of this request cannot be read.", send)
            return
        session = _digest(identity.session_key_in(cookies))
        person = self._people.get(session)
        key = person or network_of(scope)
        gate = self._gate(scope, is_person=person is not None)
        refused = (key, _kind_of(scope))
        if (until := self._refused_until.get(refused, 0.0)) > time.monotonic():
            await _refuse_later(until, scope, send)
        elif gate.is_full_for(key):
            await _refuse_later(time.monotonic() + REFUSED_AFTER_S, scope, send)
        else:
            asker = Asker()
            if person is None:
                receive = _bounded(receive, self._visitors_send)
            try:
                await self._answer(gate, key, {**scope, SCOPE_KEY: asker}, receive, send)
            except _BodyTooLarge:
                await _respond(413, "This is more than may be sent without signing in.", send)
            if asker.is_found_out and session:
                self._learn(session, asker, refused[1])

    def _gate(self, scope: Any, *, is_person: bool) -> Gate:
        # By the path that Django goes by: daphne lets a client set the part of it that is the script's name.
        if scope["path"].removeprefix(get_script_prefix(scope)) in self._at_once:
            return self._of_probes
        return self._of_people if is_person else self._of_addresses

    def _learn(self, session: bytes, asker: Asker, kind: str) -> None:
        if asker.person is None:  # the session has ended, and whoever still has its cookie takes no turn of its person
            self._people.pop(session, None)
            return
        _put(self._people, session, asker.person)
        if asker.refused_for_s:
            _put(self._refused_until, (asker.person, kind), time.monotonic() + asker.refused_for_s)

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
                turn.callback(_give_back, gate, key, begins, scope)
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


def _give_back(gate: Gate, key: Hashable, begins: asyncio.Future[None], scope: Any) -> None:
    if not begins.cancel() and not begins.cancelled():
        asker: Asker = scope[SCOPE_KEY]
        gate.leave(key, begins, counts=_kind_of(scope) != "file" and asker.person in (None, key))


class _BodyTooLarge(Exception):
    """More has come than may."""


def _bounded(receive: Any, most: int) -> Any:
    """``receive``, until more than ``most`` bytes of a body have come."""
    size = 0

    async def receive_bounded() -> Any:
        nonlocal size
        event = await receive()
        size += len(event.get("body", b""))
        if size > most:
            raise _BodyTooLarge
        return event

    return receive_bounded


def _with_one_cookie_header(scope: Any) -> tuple[Any, str]:
    """The scope, and its cookies. Several headers are made one (RFC 9113, section 8.2.3): Django and this module would
    read them differently, and a request could be of one person here and of another there."""
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    if sum(name == b"cookie" for name, _ in scope["headers"]) > 1:
        others = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        scope = {**scope, "headers": [*others, (b"cookie", cookies)]}
    return scope, cookies.decode("latin1")


def _digest(session_key: str | None) -> bytes:
    """What tells a session from others, without being its key; empty where there is no session."""
    if session_key is None:
        return b""
    return hashlib.blake2b(session_key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _kind_of(scope: Any) -> str:
    """Pages, acts and static files are limited apart. Files that exist are never refused."""
    if scope["method"].upper() not in ("GET", "HEAD"):
        return "act"
    return "file" if settings.STATIC_URL and scope["path"].startswith(settings.STATIC_URL) else "page"


def _put(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > SESSIONS_KNOWN:
        kept.popitem(last=False)


async def _refuse_later(until: float, scope: Any, send: Any) -> None:
    wait_s = max(1, int(until - time.monotonic()) + 1)
    await asyncio.sleep(REFUSED_AFTER_S)
    languages = [(name, value) for name, value in scope["headers"] if name == b"accept-language"]
    request = ASGIRequest({**scope, "headers": languages, "query_string": b""}, BytesIO())
    with translation.override(translation.get_language_from_request(request)):
        text = str(TOO_FAST)
    await _respond(429, text, send, (b"cache-control", b"no-store"), (b"retry-after", str(wait_s).encode()))


async def _respond(status: int, text: str, send: Any, *more: tuple[bytes, bytes]) -> None:
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
