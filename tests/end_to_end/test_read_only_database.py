"""A site whose database can be read and not written: nothing that only reads fails, bots come in, people sign in.

Somebody holds SQLite's lock, the disk is full, or PostgreSQL takes no writes (as a standby).
"""

import asyncio
import json
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from uuid import uuid4

import pytest

from chat.sockets.commands.context import Write
from chat.sockets.commands.registry import COMMANDS
from tests.end_to_end.talk import Talk, open_talk, talk_as
from tests.rig.disk import NotPermitted, filled, small_disk
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.site import Site, copy_sqlite
from tests.walk import pages

SOON_S = 8.0
"""SQLite's own wait for a lock is 20 s; what only notes something waits a quarter of a second."""
CSRF = "t" * 32


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Somebody holds SQLite's only lock for writers."""
    other = sqlite3.connect(f"/{site.database}", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def read_only(site: Site, postgres: PostgresServer) -> Iterator[None]:
    for setting in ("on", "off"):
        postgres.execute(f'ALTER DATABASE "{site.database}" SET default_transaction_read_only = {setting}')
        postgres.end_connections(site.database)
        if setting == "on":
            yield


@dataclass(frozen=True)
class Answer:
    status: int
    page: str
    session: str
    """The cookie of the session that it sets, if it sets one."""
    took_s: float


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


browser = urllib.request.build_opener(Stay)


def ask(address: str, cookie: str = "", data: dict[str, str] | None = None) -> Answer:
    """Ask for a page, or send a form; no redirect is followed."""
    body = urllib.parse.urlencode(data).encode() if data else None
    request = urllib.request.Request(address, body, {"Cookie": cookie, "Referer": address})
    started = time.monotonic()
    try:
        with browser.open(request, timeout=60) as answer:
            status, headers, page = answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, headers, page = error.code, error.headers, error.read().decode()
    cookies: SimpleCookie = SimpleCookie()
    for each in headers.get_all("Set-Cookie", []):
        cookies.load(each)
    session = f"sessionid={cookies['sessionid'].value}" if "sessionid" in cookies else ""
    return Answer(status, page, session, time.monotonic() - started)


def sign_in(site: Site, name: str) -> Answer:
    form = {"login": name, "password": "password", "csrfmiddlewaretoken": CSRF}
    return ask(f"{site.url}/accounts/login/", f"csrftoken={CSRF}", form)


def probe(site: Site) -> tuple[int, dict[str, Any]]:
    answer = ask(f"{site.url}/readyz")
    return answer.status, json.loads(answer.page)


@dataclass(frozen=True)
class Case:
    site: Site
    room: str
    unwritable: Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite-locked", "sqlite-full", "postgresql-read-only", "postgresql-full"])
async def case(request: pytest.FixtureRequest, make_site: SiteFactory) -> Any:
    """A site with a room and a message in it, and the way to make its database unwritable."""
    database, _, trouble = request.param.partition("-")
    site = make_site(Backend(database, "memory"), processes=0)
    postgres: PostgresServer | None = request.getfixturevalue("postgres") if database == "postgresql" else None
    with ExitStack() as at_end:
        if trouble == "full":
            unwritable = moved_to_small_disk(site, postgres, at_end)
        elif postgres:
            unwritable = lambda: read_only(site, postgres)  # noqa: E731
        else:
            unwritable = lambda: locked(site)  # noqa: E731
        site.start()
        talk = await talk_as(site.ws_url, site.user("olga"))
        room = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
        await talk.post(room, "hello")
        await talk.close()
        yield Case(site, room, unwritable)
        site.stop()


def moved_to_small_disk(
    site: Site, postgres: PostgresServer | None, at_end: ExitStack
) -> Callable[[], AbstractContextManager[None]]:
    try:
        disk = at_end.enter_context(small_disk(64 if postgres else 16))
    except NotPermitted as error:
        pytest.skip(f"No small disk can be mounted here: {error}")
    if postgres:
        postgres.move(site.database, disk)
        at_end.callback(postgres.execute, f'DROP TABLESPACE "{site.database}"')
        at_end.callback(postgres.drop, site.database)
    else:
        copy_sqlite(site.folder / "db.sqlite3", disk / "db.sqlite3")
        site.environment["DATABASE_URL"] = f"sqlite:///{disk}/db.sqlite3"
    return lambda: filled(disk)


async def answer_of(case: Case, path: str, cookie: str) -> Answer:
    return await asyncio.to_thread(ask, case.site.url + path, cookie)


async def test_every_page_is_shown_and_probes_are_told(case: Case) -> None:
    cookie = case.site.session_cookie("olga")
    addresses = [f"/{page.route}" for page in pages() if not page.arguments and "logout" not in page.route]
    addresses += [f"/rooms/{case.room}/", f"/rooms/{case.room}/1/", f"/rooms/{case.room}/settings/", "/nowhere/"]
    before = {each: (await answer_of(case, each, cookie)).status for each in addresses}
    assert max(before.values()) < 500 and list(before.values()).count(200) > 25
    with case.unwritable():
        during = {each: await answer_of(case, each, cookie) for each in addresses}
        status, found = probe(case.site)
        room = await answer_of(case, f"/rooms/{case.room}/", cookie)
    assert {each: answer.status for each, answer in during.items()} == before
    assert max(answer.took_s for answer in during.values()) < SOON_S
    assert "hello" in room.page
    assert (status, found["database"]) == (503, "not writable")
    assert "Traceback" not in case.site.log()


async def read_everything(talk: Talk, room: str, token: str) -> None:
    """Send every command that changes nothing."""
    sent: dict[str, dict[str, Any]] = {
        "auth": {"token": token},
        "ping": {},
        "room.list": {"scope": "mine"},
        "member.list": {"room": room},
        "history": {"room": room},
        "sync": {"rooms": {room: None}},
        "unsync": {"rooms": [room]},
        "presence.set": {"status": "away"},
    }
    results = {kind: await talk.call(kind, **fields) for kind, fields in sent.items()}
    assert [each["body"] for each in results["history"]["messages"]] == ["hello"]
    assert results["sync"]["rooms"] == {room: "reset"}
    silent: dict[str, dict[str, Any]] = {"typing": {"room": room, "active": True}, "received": {"frames": 1}}
    for kind, fields in silent.items():
        await talk.socket.send(json.dumps({"type": kind, **fields}))
    await talk.call("ping")
    reading = {kind.__struct_config__.tag for kind, handler in COMMANDS.items() if not isinstance(handler, Write)}
    assert sent.keys() | silent.keys() == reading


async def test_bots_and_people_come_in_and_read(case: Case) -> None:
    site, ana = case.site, case.site.user("ana")
    with case.unwritable():
        bot = await talk_as(site.ws_url, ana)  # when its token was used is due to be noted
        await read_everything(bot, case.room, ana.token)
        await bot.close()
        late = await open_talk(site.ws_url)
        await late.call("auth", token=ana.token)
        await late.event("hello")
        await late.close()
        signed_in = await asyncio.to_thread(sign_in, site, "ben")
        assert (signed_in.status, signed_in.took_s < SOON_S) == (302, True)
        assert "hello" in (await answer_of(case, f"/rooms/{case.room}/", signed_in.session)).page
        page = await open_talk(site.ws_url, additional_headers={"Cookie": signed_in.session, "Origin": site.url})
        await page.event("hello")
        assert (await page.call("history", room=case.room))["messages"]
        await page.close()
    after = await answer_of(case, "/rooms/", signed_in.session)
    assert after.status == 200
    session = after.session or signed_in.session
    assert ":" not in session, "it is in the database now"
    assert (await answer_of(case, "/rooms/", session)).status == 200
    assert "Traceback" not in site.log()


async def test_a_ping_is_answered_while_a_change_waits_for_the_database(make_site: SiteFactory) -> None:
    site = make_site()
    talk = await talk_as(site.ws_url, site.user("ana"))
    room = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
    with locked(site):
        waiting = await talk.send("message.post", room=room, client_id=str(uuid4()), body="later")
        await talk.call("ping")
        assert waiting not in talk.replies
        _, found = await asyncio.to_thread(probe, site)  # which takes over a second: it tries to write
        assert found["waiting_s"] >= 1
    assert (await talk.reply(waiting))["ok"]
    _, found = await asyncio.to_thread(probe, site)
    assert found["waiting_s"] == 0
    await talk.close()


def test_a_probe_finds_out_when_writing_fails_and_when_it_works_again(make_site: SiteFactory) -> None:
    site = make_site()
    with locked(site):
        answer = ask(f"{site.url}/readyz")
        assert (answer.status, answer.took_s < 3) == (503, True)
    assert probe(site)[1]["database"] == "ok"
