"""A site whose database can be read and not written, or is locked by somebody: people read on, bots come in."""

import json
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.talk import talk_as
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.site import Site

SOON_S = 8.0
"""SQLite's own wait for a lock is 20 s; what only notes something waits a quarter of a second."""


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """Somebody holds SQLite's only lock for writers."""
    other = sqlite3.connect(site.folder / "db.sqlite3", isolation_level=None)
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


def ask(address: str, cookie: str = "", data: dict[str, str] | None = None) -> tuple[int, str, float]:
    """Status, page and seconds."""
    headers = {"Cookie": cookie, "Referer": address}
    body = urllib.parse.urlencode(data).encode() if data else None
    started = time.monotonic()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60) as answer:
            status, page = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, page = error.code, error.read().decode()
    return status, page, time.monotonic() - started


def probe(site: Site) -> tuple[int, Any]:
    status, page, _ = ask(f"{site.url}/readyz")
    return status, json.loads(page)["database"]


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_site: SiteFactory) -> Site:
    site = make_site(Backend(request.param, "memory"))
    site.add_people("ana", "olga")
    return site


async def test_people_read_bots_come_in_and_probes_are_told(site: Site, postgres: PostgresServer) -> None:
    talk = await talk_as(site.ws_url, site.user("olga"))
    room = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
    await talk.post(room, "hello")
    await talk.close()
    on_sqlite = site.environment["DATABASE_URL"].startswith("sqlite")
    with locked(site) if on_sqlite else read_only(site, postgres):
        status, page, took_s = ask(f"{site.url}/rooms/{room}/", site.session_cookie("ana"))
        assert (status, "hello" in page) == (200, True)
        assert took_s < SOON_S, "when the session was last seen is due to be noted"
        bot = await talk_as(site.ws_url, site.user("ana"))  # so is when its token was used
        history = await bot.call("history", room=room)
        assert [each["body"] for each in history["messages"]] == ["hello"]
        await bot.close()
        if not on_sqlite:
            login = f"{site.url}/accounts/login/"
            token = "t" * 32
            form = {"login": "ana", "password": "password", "csrfmiddlewaretoken": token}
            status, page, _ = ask(login, f"csrftoken={token}", form)
            assert (status, "Nothing can be stored right now" in page) == (503, True)
            assert probe(site) == (503, "not writable")
    assert "Traceback" not in site.log()


async def test_a_ping_is_answered_while_a_change_waits_for_the_database(make_site: SiteFactory) -> None:
    site = make_site()
    talk = await talk_as(site.ws_url, site.user("ana"))
    room = (await talk.call("room.create", name="Lobby", kind="open"))["room"]["id"]
    with locked(site):
        waiting = await talk.send("message.post", room=room, client_id=str(uuid4()), body="later")
        await talk.call("ping")
        assert waiting not in talk.replies
    assert (await talk.reply(waiting))["ok"]
    await talk.close()


def test_a_probe_finds_out_when_writing_fails_and_when_it_works_again(make_site: SiteFactory) -> None:
    site = make_site()
    with locked(site):
        status, _page, took_s = ask(f"{site.url}/readyz")
        assert (status, took_s < 3) == (503, True)
    assert probe(site) == (200, "ok")
