"""How often a password may be guessed depends on nothing that the client can choose."""

import time
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import get_hasher
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from project.accounts import known_browsers, setup_code
from project.accounts.models import SiteSettings
from tests.project.conftest import LOCAL, PASSWORD, new_person

HOSTS = [
    "chat.example.com",
    "CHAT.example.com",
    "chat.example.com:8443",
    "a.example.com",
    "b.example.com",
    "example.com",
]
LIMIT = 5
AN_HOUR = 20
ANYWHERE = 200
BACK = "Too many failed attempts"


@pytest.fixture
def fast_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def addresses() -> Any:
    """``addresses()`` returns a new address for each attempt, so that the limit for an address is never reached."""
    numbers = count(1)
    return lambda: f"10.0.{next(numbers)}.1"


def guess(name: str, password: str, *, host: str = "localhost", address: str) -> Any:
    browser = Client(headers={"host": host}, REMOTE_ADDR=address)
    return browser.post("/accounts/login/", {"login": name, "password": password})


def is_held_back(answer: Any) -> bool:
    return answer.status_code == 200 and BACK in answer.content.decode()


def exhaust(name: str, addresses: Any) -> None:
    """Guess from so many addresses that the limit for the name alone is used up."""
    for _ in range(ANYWHERE):
        assert not is_held_back(guess(name, "wrong", address=addresses()))
    assert is_held_back(guess(name, "wrong", address=addresses()))


@pytest.mark.parametrize("name", ["ana", "ana@example.com", "nobody", "nobody@example.com"])
def test_another_spelling_of_the_host_does_not_reset_the_limit_for_a_name(
    olga: Any, ana: Any, settings: Any, name: str
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    answers = [guess(name, "wrong", host=host, address="10.0.0.1") for host in HOSTS]
    assert [BACK in each.content.decode() for each in answers] == [False] * LIMIT + [True]
    right = guess(name, PASSWORD, host="new.example.com", address="10.0.0.1")
    assert right.status_code == 200 and BACK in right.content.decode()


def test_a_stranger_who_guesses_a_password_does_not_lock_its_owner_out(olga: Any, ana: Any) -> None:
    for _ in range(LIMIT + 3):
        stranger = guess("ana", "wrong", address="10.0.0.66")
    assert is_held_back(stranger)
    assert guess("ana", PASSWORD, address="10.0.0.1").status_code == 302


def test_a_patient_stranger_does_not_either_and_gets_few_guesses(olga: Any, ana: Any, fast_hashes: None) -> None:
    real, later_s = time.time, 0.0
    with patch("allauth.core.internal.ratelimit.time.time", side_effect=lambda: real() + later_s):
        guesses = 0
        for hour in range(4):
            for minute in range(0, 60, 5):
                later_s = hour * 3600.0 + minute * 60.0 + minute / 10
                answers = [guess("ana", "wrong", address="10.0.0.66") for _ in range(LIMIT)]
                guesses += sum(not is_held_back(each) for each in answers)
            assert guess("ana", PASSWORD, address="10.0.0.1").status_code == 302
    assert guesses <= 5 * AN_HOUR


def test_the_addresses_of_one_ipv6_network_count_as_one(olga: Any, ana: Any) -> None:
    answers = [guess("ana", "wrong", address=f"2001:db8::{place:x}") for place in range(1, LIMIT + 2)]
    assert [is_held_back(each) for each in answers] == [False] * LIMIT + [True]


def test_guesses_from_many_addresses_are_limited_all_the_same(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None
) -> None:
    exhaust("ana", addresses)
    assert guess("olga", PASSWORD, address=addresses()).status_code == 302


@pytest.fixture
def known(olga: Any, ana: Any) -> Client:
    """A browser in which ana has signed in, and out again."""
    return used_by("ana")


def used_by(name: str, address: str = "10.0.0.1") -> Client:
    browser = Client(REMOTE_ADDR=address)
    assert browser.post("/accounts/login/", {"login": name, "password": PASSWORD}).status_code == 302
    browser.post("/accounts/logout/")
    return browser


def with_cookie_of(browser: Client, address: str) -> Client:
    other = Client(REMOTE_ADDR=address)
    other.cookies[known_browsers.COOKIE] = browser.cookies[known_browsers.COOKIE].value
    return other


def try_in(browser: Client, name: str, password: str = PASSWORD, **more: Any) -> Any:
    return browser.post("/accounts/login/", {"login": name, "password": password}, **more)


@pytest.mark.parametrize("name", ["ana", "ANA", "ana@example.com"])
def test_guesses_from_many_addresses_do_not_keep_people_out_of_browsers_that_they_have_used(
    known: Client, addresses: Any, fast_hashes: None, name: str
) -> None:
    exhaust(name.lower(), addresses)
    assert is_held_back(guess(name, PASSWORD, address=addresses()))
    assert is_held_back(try_in(used_by("olga"), name)), "somebody else's browser"
    forged = Client(REMOTE_ADDR="10.0.0.3")
    for nonsense in (signing.dumps([["1", "x", time.time(), "y"]], salt="another"), "x", ""):
        forged.cookies[known_browsers.COOKIE] = nonsense
        assert is_held_back(try_in(forged, name))
    assert try_in(known, name).status_code == 302


def test_a_stranger_behind_the_same_address_does_not_either(known: Client, fast_hashes: None) -> None:
    for _ in range(LIMIT + 6):
        guess("ana", "wrong", address="10.0.0.1")
    assert is_held_back(guess("ana", PASSWORD, address="10.0.0.1"))
    assert try_in(known, "ana").status_code == 302


def test_a_browser_knows_nobody_by_an_address_that_they_have_not_confirmed(
    known: Client, ana: Any, olga: Any, addresses: Any, fast_hashes: None
) -> None:
    olga.emailaddress_set.create(email="olga@example.com", verified=True, primary=True)
    ana.emailaddress_set.create(email="olga@example.com", verified=False)
    exhaust("olga@example.com", addresses)
    assert is_held_back(try_in(known, "olga@example.com"))


def test_guesses_from_many_addresses_do_not_stop_an_open_browser(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None, sign_in: Any
) -> None:
    browser = sign_in(ana)
    del browser.cookies[known_browsers.COOKIE]
    exhaust("ana", addresses)
    assert browser.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302


def test_a_copied_cookie_has_no_more_guesses_than_a_browser_wherever_they_come_from(
    known: Client, addresses: Any, fast_hashes: None
) -> None:
    answers = [try_in(with_cookie_of(known, addresses()), "ana", "wrong") for _ in range(LIMIT + 1)]
    assert [is_held_back(each) for each in answers] == [False] * LIMIT + [True]
    assert guess("ana", PASSWORD, address=addresses()).status_code == 302, "nobody else is held back for it"


def test_a_copied_session_has_no_more_guesses_either(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None, sign_in: Any
) -> None:
    browser = sign_in(ana)
    del browser.cookies[known_browsers.COOKIE]
    told = []
    for _ in range(LIMIT + 1):
        answer = browser.post("/accounts/reauthenticate/", {"password": "wrong"}, REMOTE_ADDR=addresses())
        told.append(BACK in answer.content.decode())
    assert told == [False] * LIMIT + [True]


def test_a_new_password_makes_browsers_unknown(known: Client, ana: Any, addresses: Any, fast_hashes: None) -> None:
    exhaust("ana", addresses)
    ana.set_password("summer-harbour-58")
    ana.save()
    assert is_held_back(try_in(known, "ana", "summer-harbour-58"))


def test_each_person_is_forgotten_after_a_year_whoever_else_signs_in(rf: Any, olga: Any, ana: Any) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    half = known_browsers.LASTS_S / 2
    for times, person in enumerate((ana, olga, olga)):
        with patch("project.accounts.known_browsers.time.time", return_value=1e9 + times * half):
            response = HttpResponse()
            known_browsers.remember(request, response, person)
            request.COOKIES[known_browsers.COOKIE] = response.cookies[known_browsers.COOKIE].value
            assert known_browsers.key_of(request, person.username)
            assert bool(known_browsers.key_of(request, "ana")) == (times < 2)


def test_the_browser_that_set_the_site_up_is_known(db: None, fast_hashes: None, addresses: Any) -> None:
    browser = Client(**LOCAL)
    browser.get(setup_code.link())
    browser.post("/setup/", new_person("olga"))
    assert known_browsers.COOKIE in browser.cookies


def test_an_attempt_that_is_refused_for_the_name_takes_nothing_of_the_limit_for_the_address(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None
) -> None:
    exhaust("ana", addresses)
    for _ in range(LIMIT + 1):
        assert is_held_back(guess("ana", PASSWORD, address="10.0.0.1"))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_cacheentry WHERE cache_key LIKE '%login_failed_anywhere%'")
        assert cursor.rowcount == 1
    assert guess("ana", PASSWORD, address="10.0.0.1").status_code == 302


def test_a_browser_remembers_the_five_people_who_used_it_last(rf: Any) -> None:
    request = rf.get("/")
    request.user = AnonymousUser()
    for number in range(7):
        response = HttpResponse()
        known_browsers.remember(request, response, SimpleNamespace(pk=number, password="x"))
        cookie = response.cookies[known_browsers.COOKIE]
        request.COOKIES[known_browsers.COOKIE] = cookie.value
    assert [each.user_id for each in known_browsers._visits(request)] == ["6", "5", "4", "3", "2"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_signing_in_takes_nothing_of_the_limit_for_a_name(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None
) -> None:
    for _ in range(ANYWHERE + 1):
        assert guess("ana", PASSWORD, address=addresses()).status_code == 302


@pytest.mark.parametrize("name", ["ana", "ana@example.com", "nobody"])
def test_a_wrong_password_costs_one_hash(olga: Any, ana: Any, name: str) -> None:
    hasher = type(get_hasher())
    with patch.object(hasher, "encode", autospec=True, side_effect=hasher.encode) as hashed:
        guess(name, "wrong", host="localhost", address="10.0.0.1")
    assert hashed.call_count == 1


def test_a_wrong_password_in_an_open_browser_costs_one_hash(olga: Any, ana: Any, sign_in: Any) -> None:
    browser, hasher = sign_in(ana), type(get_hasher())
    with patch.object(hasher, "encode", autospec=True, side_effect=hasher.encode) as hashed:
        browser.post("/accounts/reauthenticate/", {"password": "wrong"})
    assert hashed.call_count == 1


def test_another_spelling_of_the_host_does_not_reset_the_limit_in_an_open_browser(
    olga: Any, ana: Any, settings: Any, sign_in: Any
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    browser = sign_in(ana, headers={"host": "chat.example.com"})
    told = []
    for host in HOSTS:
        answer = browser.post(
            "/accounts/reauthenticate/", {"password": "wrong"}, headers={"host": host}, REMOTE_ADDR="10.0.0.1"
        )
        told.append(BACK in answer.content.decode())
    assert told == [False] * LIMIT + [True]


def test_other_ways_to_guess_are_limited_by_person_or_address(olga: Any, ana: Any, settings: Any, sign_in: Any) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    browser = sign_in(ana, headers={"host": "chat.example.com"})

    def statuses(path: str, data: dict[str, str], times: int, **more: Any) -> list[int]:
        hosts = [f"h{number}.example.com" for number in range(times)]
        return [browser.post(path, data, headers={"host": host}, **more).status_code for host in hosts]

    wrong = {"oldpassword": "wrong", "password1": "quiet-lantern-41"}
    assert statuses("/accounts/password/change/", wrong, 6) == [200] * 5 + [429]
    assert statuses("/accounts/password/reset/", {"email": "x@example.com"}, 21, REMOTE_ADDR="10.9.9.9")[-1] == 429


@pytest.mark.parametrize("address", ["ana@example.com", "nobody@example.com"])
def test_strangers_who_ask_for_new_passwords_neither_flood_a_mailbox_nor_keep_its_owner_from_the_link(
    olga: Any, ana: Any, mailoutbox: Any, addresses: Any, address: str
) -> None:
    for _ in range(20):
        answer = Client(REMOTE_ADDR=addresses()).post("/accounts/password/reset/", {"email": address.upper()})
        assert answer.status_code == 302
    assert Client().post("/accounts/password/reset/", {"email": address}).url == "/accounts/password/reset/done/"
    assert len(mailoutbox) == 3
    if address == "ana@example.com":
        for mail in mailoutbox:
            link = next(word for word in mail.body.split() if "/password/reset/key/" in word)
            assert 'name="password1"' in Client().get(link, follow=True).content.decode()


def test_strangers_who_sign_up_with_an_address_that_is_known_do_not_flood_its_mailbox(
    olga: Any, ana: Any, mailoutbox: Any, addresses: Any
) -> None:
    SiteSettings.objects.update(sign_up="open")
    EmailAddress.objects.create(user=ana, email="ana@example.com", verified=True, primary=True)
    for place in range(8):
        Client(REMOTE_ADDR=addresses()).post("/accounts/signup/", new_person(f"x{place}", email="ana@example.com"))
    assert len(mailoutbox) <= 3


PAGES = [
    "/settings/",
    "/settings/sessions/",
    "/settings/delete/",
    "/settings/invitations/",
    "/settings/site/",
    "/settings/tokens/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/reauthenticate/",
    "/admin/",
    "/admin/auth/user/",
    "/nowhere/",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_the_site_has_a_limit_for_a_person_and_is_refused_before_it_is_made(
    fast_hashes: None, olga: Any, ana: Any, sign_in: Any, settings: Any, page: str
) -> None:
    slow = {"PAGE_RATE": 0.001, "PAGE_BURST": 2, "CHANGE_RATE": 0.001, "CHANGE_BURST": 2}
    browser, anas = sign_in(olga), sign_in(ana)
    settings.CHAT = {**settings.CHAT, **slow}
    for ask in (browser.get, browser.post):
        told = [ask(page).status_code for _ in range(3)]
        assert 429 not in told[:2] and told[2] == 429
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(page).status_code == 429
    assert len(queries) <= 3, "the session, its person and the name of the site"
    assert anas.get("/settings/").status_code == 200


def test_whoever_goes_on_is_refused_with_a_line_instead_of_a_page(olga: Any, sign_in: Any, settings: Any) -> None:
    browser = sign_in(olga)
    settings.CHAT = {**settings.CHAT, "PAGE_RATE": 0.001, "PAGE_BURST": 1}
    browser.get("/settings/")
    kinds = [browser.get("/settings/")["Content-Type"].partition(";")[0] for _ in range(8)]
    assert kinds == ["text/html"] * 5 + ["text/plain"] * 3


def test_the_limit_for_one_name_does_not_affect_other_names(olga: Any, ana: Any) -> None:
    for _ in range(LIMIT + 1):
        last = guess("ana", "wrong", address="10.0.0.1")
    assert is_held_back(last)
    assert guess("olga", PASSWORD, address="10.0.0.1").status_code == 302
