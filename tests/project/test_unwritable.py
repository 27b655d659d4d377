"""A database that can be read but not written: pages are shown, people and bots sign in, a failed change is reported.

The tests run on PostgreSQL too. tests/end_to_end/test_read_only_database.py tests a running site.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache
from django.db import Error, OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from chat import api
from chat.access import identity
from chat.models import Token
from chat.models.best_effort import write_if_possible
from chat.services import tokens
from chat.wire.errors import Close
from project.accounts.sessions import LASTS_S, SINCE, UNSTORED, SessionStore, is_stored
from tests.cast import at_once
from tests.project.conftest import PASSWORD
from tests.walk import pages

pytestmark = pytest.mark.django_db(transaction=True)
NEW = "quiet-lantern-41"
LONG_AGO = timedelta(days=1)


@pytest.fixture
def read_only() -> Iterator[Callable[[bool], None]]:
    """``read_only(True)`` keeps this thread's connection from writing until ``read_only(False)``."""
    on_sqlite = connection.vendor == "sqlite"

    def switch(on: bool) -> None:
        with connection.cursor() as cursor:
            if on_sqlite:
                cursor.execute(f"PRAGMA query_only = {int(on)}")
            else:
                cursor.execute(f"SET default_transaction_read_only = {on}")
                cursor.execute(f"SET transaction_read_only = {on}")  # for a transaction that is open already

    yield switch
    switch(False)
    LocMemCache("accounts.counting", {}).clear()


@contextmanager
def refusing(*starts: str) -> Iterator[None]:
    """Let statements with these beginnings fail, as on a table whose file or partition is broken."""

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(starts):
            raise OperationalError("disk I/O error")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse):
        yield


def browser() -> Client:
    return Client(raise_request_exception=False)


def attempt(name: str, password: str = PASSWORD) -> Any:
    return browser().post("/accounts/login/", {"login": name, "password": password})


def shown(answer: Any) -> str:
    return str(answer.content.decode())


def test_every_page_can_be_read_while_the_database_is_read_only(
    olga: Any, ana: Any, sign_in: Any, read_only: Callable[[bool], None]
) -> None:
    room = api.create_room("Lobby", olga, kind="open", members=[ana])
    api.post(room, ana, "hello")
    client = sign_in(olga)
    sign_in(olga)
    gone = UserSession.objects.exclude(session_key=client.session.session_key).get()
    gone._session_store(gone.session_key).delete()  # its row stays, and the page deletes it
    UserSession.objects.update(last_seen_at=timezone.now() - LONG_AGO)  # so that an update is due
    client.raise_request_exception = False
    addresses = [f"/{page.route}" for page in pages() if not page.arguments] + [
        *(f"/rooms/{room.pk}/", f"/rooms/{room.pk}/1/", f"/rooms/{room.pk}/settings/"),
        *(f"/admin/chat/room/{room.pk}/change/", f"/admin/auth/user/{ana.pk}/change/"),
    ]
    before = {address: client.get(address).status_code for address in addresses if "logout" not in address}
    assert max(before.values()) < 500 and list(before.values()).count(200) > 25
    UserSession.objects.update(last_seen_at=timezone.now() - LONG_AGO)
    read_only(True)
    assert {address: client.get(address).status_code for address in before} == before
    assert {address: browser().get(address).status_code for address in ("/", "/accounts/login/")} == {
        "/": 302,
        "/accounts/login/": 200,
    }
    assert f"{gone.pk}" not in shown(client.get("/settings/sessions/")).split('name="session" value="')[1:]
    assert "hello" in shown(client.get(f"/rooms/{room.pk}/"))


def test_pages_can_be_read_while_a_session_cannot_be_signed_again(
    olga: Any, sign_in: Any, settings: Any, read_only: Callable[[bool], None]
) -> None:
    client = sign_in(olga)
    client.raise_request_exception = False
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another-key" * 6, [settings.SECRET_KEY]
    read_only(True)
    for _ in range(2):
        assert client.get("/rooms/").status_code == 200
    read_only(False)
    assert client.get("/rooms/").status_code == 200


def test_a_session_that_a_new_password_ended_signs_nobody_in(
    olga: Any, sign_in: Any, read_only: Callable[[bool], None]
) -> None:
    client = sign_in(olga)
    client.raise_request_exception = False
    olga.set_password(NEW)
    olga.save()
    read_only(True)
    answer = client.get("/rooms/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/accounts/login/?next=/rooms/")


def test_a_bot_can_sign_in_and_its_last_use_is_recorded_later(ana: Any, read_only: Callable[[bool], None]) -> None:
    token = tokens.issue(by=ana, user=ana)
    with patch("chat.models.best_effort.logger.warning") as logged, transaction.atomic():
        read_only(True)
        assert identity.from_token(token)
        assert identity.from_token(token), "the transaction goes on"
    assert identity.from_token(token)
    assert logged.call_count == 2
    assert Token.objects.get().last_used_at is None
    read_only(False)
    assert identity.from_token(token)
    assert Token.objects.get().last_used_at


def test_a_change_that_cannot_be_stored_gets_a_page_that_says_so(
    olga: Any, ana: Any, sign_in: Any, read_only: Callable[[bool], None], caplog: pytest.LogCaptureFixture
) -> None:
    client = sign_in(ana)
    client.raise_request_exception = False
    read_only(True)
    sent = {
        "/settings/": {"first_name": "Anna", "username": "ana"},
        "/accounts/password/change/": {"oldpassword": PASSWORD, "password1": NEW},
        "/new/": {"name": "Room", "kind": "open", "client_id": "0b4f5c1e-8a54-4a35-9d3f-1c7d5cbb1c11"},
        "/settings/tokens/": {"action": "make", "name": "x"},
        "/accounts/logout/": {},
    }
    for address, fields in sent.items():
        answer = client.post(address, fields)
        assert answer.status_code == 503, address
        assert "Nothing can be stored right now" in shown(answer)
        assert answer.headers["Retry-After"]
    assert "Traceback" not in caplog.text
    read_only(False)
    assert client.post("/settings/", sent["/settings/"]).status_code == 302


def test_a_mistake_in_the_code_is_still_answered_with_500(olga: Any, sign_in: Any) -> None:
    client = sign_in(olga)
    client.raise_request_exception = False
    with connection.execute_wrapper(lambda execute, sql, *rest: execute("SELECT nonsense", *rest)):
        answer = client.get("/rooms/")
    assert answer.status_code == 500


def test_login_attempts_are_limited_even_while_they_cannot_be_stored(
    olga: Any, read_only: Callable[[bool], None]
) -> None:
    for _ in range(2):
        assert "belong together" in shown(attempt("olga", "wrong"))
    read_only(True)
    for _ in range(3):
        assert "belong together" in shown(attempt("olga", "wrong"))
    assert "Too many failed attempts" in shown(attempt("olga", "wrong"))
    assert "Too many failed attempts" in shown(attempt("olga"))
    read_only(False)
    assert "Too many failed attempts" in shown(attempt("olga")), "what was counted meanwhile still counts"


def test_a_failing_best_effort_write_keeps_nobody_from_signing_in(olga: Any) -> None:
    tables = ("accounts_cacheentry", "usersessions_usersession")
    writes = [f'{verb} "{table}"' for verb in ("INSERT INTO", "UPDATE", "DELETE FROM") for table in tables]
    with refusing(*writes, 'UPDATE "auth_user"'):
        client = browser()
        assert client.post("/accounts/login/", {"login": "olga", "password": PASSWORD}).status_code == 302
        assert client.get("/rooms/").status_code == 200
    olga.refresh_from_db()
    assert olga.last_login is None and not UserSession.objects.exists()
    client.get("/rooms/")
    assert UserSession.objects.count() == 1


def test_a_failing_best_effort_write_loses_only_itself(ana: Any) -> None:
    def fail() -> None:
        Token.objects.filter(user=ana).update(name="lost")
        with connection.cursor() as cursor:
            cursor.execute("SELECT nonsense")

    tokens.issue(by=ana, user=ana, name="kept")
    with transaction.atomic():
        ana.first_name = "Ana Maria"
        ana.save()
        write_if_possible(fail)
        write_if_possible(lambda: Token.objects.filter(user=ana).update(expires_at=timezone.now()))
    ana.refresh_from_db()
    token = Token.objects.get()
    assert (ana.first_name, token.name, token.expires_at is None) == ("Ana Maria", "kept", False)
    with pytest.raises(ZeroDivisionError):
        write_if_possible(lambda: 1 / 0)


# Sessions that can't be stored yet -----------------------------------------------------------------------------------


@pytest.fixture
def unstored(olga: Any, read_only: Callable[[bool], None]) -> Client:
    """A browser in which olga has signed in while the database is read-only, as it still is."""
    read_only(True)
    client = browser()
    answer = client.post("/accounts/login/", {"login": "olga", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert not is_stored(key_in(client))
    return client


def key_in(client: Client) -> str:
    return str(client.cookies["sessionid"].value)


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/rooms/").status_code == 200)


def test_a_session_that_could_not_be_stored_is_stored_with_the_next_page(
    unstored: Client, olga: Any, read_only: Callable[[bool], None]
) -> None:
    assert is_signed_in(unstored) and not is_stored(key_in(unstored))
    assert not Session.objects.exists()
    read_only(False)
    assert is_signed_in(unstored) and is_stored(key_in(unstored))
    assert Session.objects.get().get_decoded().keys() >= {"_auth_user_id"}
    assert SINCE not in Session.objects.get().get_decoded()
    assert is_signed_in(unstored) and UserSession.objects.get().session_key == key_in(unstored)
    read_only(True)
    assert is_signed_in(unstored)


def test_an_unstored_session_ends_an_hour_after_the_sign_in(unstored: Client) -> None:
    began = time.time()
    with patch("time.time") as now:
        for after_s, expected in ((LASTS_S - 100, True), (LASTS_S - 50, True), (LASTS_S + 50, False)):
            now.return_value = began + after_s
            assert is_signed_in(unstored) is expected, after_s


def test_an_unstored_session_ends_with_the_password(
    unstored: Client, olga: Any, read_only: Callable[[bool], None]
) -> None:
    read_only(False)
    olga.set_password(NEW)
    olga.save()
    read_only(True)
    assert not is_signed_in(unstored)


def test_who_has_an_unstored_session_can_sign_out(unstored: Client) -> None:
    assert unstored.post("/accounts/logout/").status_code == 302
    assert not is_signed_in(unstored)


@pytest.mark.parametrize("key", [UNSTORED, UNSTORED + "x", UNSTORED + ".eJw:1:2", "unstored"])
def test_a_forged_key_signs_nobody_in(key: str, olga: Any) -> None:
    client = browser()
    client.cookies["sessionid"] = key
    assert client.get("/rooms/").status_code == 302
    assert identity.from_session(key) is None


def test_a_changed_signature_signs_nobody_in(unstored: Client) -> None:
    key = key_in(unstored)
    unstored.cookies["sessionid"] = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert not is_signed_in(unstored)


def test_a_socket_of_an_unstored_session_lives_as_long_as_it(unstored: Client) -> None:
    who = identity.from_session(key_in(unstored))
    assert who and identity.check([who]).ended == {}
    with patch("time.time", return_value=time.time() + LASTS_S + 1):
        assert identity.check([who]).ended == {who: Close.SESSION_ENDED}


def test_a_session_without_a_person_is_not_put_into_a_cookie(db: None, read_only: Callable[[bool], None]) -> None:
    read_only(True)
    session = SessionStore()
    session["code"] = "for the server alone"
    with pytest.raises(Error):
        session.save()


# The cache that rate limits count in ---------------------------------------------------------------------------------


def test_one_of_two_simultaneous_adds_succeeds() -> None:
    for lock in ("first", "second"):
        outcomes = at_once([lambda lock=lock: cache.add(lock, True, 10)] * 6)
        assert sorted(outcomes) == [False] * 5 + [True], outcomes


def test_an_expired_entry_counts_as_missing() -> None:
    cache.set("gone", 1, -1)
    assert cache.get("gone") is None
    cache.set("gone", 1, -1)
    assert cache.add("gone", 2, 10) and not cache.add("gone", 3, 10)
    assert cache.get("gone") == 2
    assert cache.delete("gone") and not cache.delete("gone")


def test_the_cache_keeps_entries_in_memory_while_the_database_is_read_only(read_only: Callable[[bool], None]) -> None:
    cache.set("count", [1], 60)
    read_only(True)
    cache.set("count", [2, 1], 60)
    assert cache.get("count") == [2, 1]
    assert cache.add("lock", True, 60) and not cache.add("lock", True, 60)
    cache.delete("lock")
    assert cache.add("lock", True, 60)
    read_only(False)
    assert cache.get("count") == [2, 1] and not cache.add("lock", True, 60)
    cache.set("count", [3, 2, 1], 60)
    read_only(True)
    assert cache.get("count") == [3, 2, 1]
