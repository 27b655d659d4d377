"""How often a password may be guessed depends on nothing that the client can choose."""

from itertools import count
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import get_hasher
from django.test import Client

from tests.project.conftest import PASSWORD

HOSTS = [
    "chat.example.com",
    "CHAT.example.com",
    "chat.example.com:8443",
    "a.example.com",
    "b.example.com",
    "example.com",
]
LIMIT = 5
ANYWHERE = 50


@pytest.fixture
def fast_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def addresses() -> Any:
    """``addresses()`` returns a new address for each attempt, so that the limit for an address is never reached."""
    numbers = count(1)
    return lambda: f"10.0.{next(numbers)}.1"


def guess(name: str, password: str, *, host: str, address: str, path: str = "/accounts/login/") -> Any:
    browser = Client(headers={"host": host}, REMOTE_ADDR=address)
    return browser.post(path, {"login": name, "password": password})


@pytest.mark.parametrize("name", ["ana", "ana@example.com", "nobody", "nobody@example.com"])
def test_another_spelling_of_the_host_does_not_reset_the_limit_for_a_name(
    olga: Any, ana: Any, settings: Any, name: str
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    answers = [guess(name, "wrong", host=host, address="10.0.0.1") for host in HOSTS]
    assert ["Too many failed attempts" in each.content.decode() for each in answers] == [False] * LIMIT + [True]
    right = guess(name, PASSWORD, host="new.example.com", address="10.0.0.1")
    assert right.status_code == 200 and "Too many failed attempts" in right.content.decode()


def test_a_stranger_who_guesses_a_password_does_not_lock_its_owner_out(olga: Any, ana: Any) -> None:
    for _ in range(LIMIT + 3):
        stranger = guess("ana", "wrong", host="localhost", address="10.0.0.66")
    assert "Too many failed attempts" in stranger.content.decode()
    assert guess("ana", PASSWORD, host="localhost", address="10.0.0.1").status_code == 302


def test_guesses_from_many_addresses_are_limited_all_the_same(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None
) -> None:
    answers = [guess("ana", "wrong", host="localhost", address=addresses()) for _ in range(ANYWHERE + 1)]
    assert ["Too many failed attempts" in each.content.decode() for each in answers] == [False] * ANYWHERE + [True]
    assert guess("olga", PASSWORD, host="localhost", address=addresses()).status_code == 302


def test_signing_in_takes_nothing_of_the_limit_for_a_name(
    olga: Any, ana: Any, addresses: Any, fast_hashes: None
) -> None:
    for _ in range(ANYWHERE + 1):
        assert guess("ana", PASSWORD, host="localhost", address=addresses()).status_code == 302


@pytest.mark.parametrize("name", ["ana", "ana@example.com", "nobody"])
def test_a_wrong_password_costs_one_hash(olga: Any, ana: Any, name: str) -> None:
    hasher = type(get_hasher())
    with patch.object(hasher, "encode", autospec=True, side_effect=hasher.encode) as hashed:
        guess(name, "wrong", host="localhost", address="10.0.0.1")
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
        told.append("Too many failed attempts" in answer.content.decode())
    assert told == [False] * LIMIT + [True]


def test_other_ways_to_guess_are_limited_by_person_or_address(olga: Any, ana: Any, settings: Any, sign_in: Any) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    browser = sign_in(ana, headers={"host": "chat.example.com"})

    def statuses(path: str, data: dict[str, str], times: int, **more: Any) -> list[int]:
        hosts = [f"h{number}.example.com" for number in range(times)]
        return [browser.post(path, data, headers={"host": host}, **more).status_code for host in hosts]

    wrong = {"oldpassword": "wrong", "password1": "quiet-lantern-41"}
    assert statuses("/accounts/password/change/", wrong, 6) == [200] * 5 + [429]
    assert statuses("/accounts/password/reset/", {"email": "ana@example.com"}, 6) == [302] * 5 + [429]
    assert statuses("/accounts/password/reset/", {"email": "x@example.com"}, 20, REMOTE_ADDR="10.9.9.9")[-1] == 429


def test_the_limit_for_one_name_does_not_affect_other_names(olga: Any, ana: Any, addresses: Any) -> None:
    for _ in range(LIMIT + 1):
        guess("ana", "wrong", host="localhost", address=addresses())
    assert guess("olga", PASSWORD, host="localhost", address=addresses()).status_code == 302
