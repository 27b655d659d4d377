"""How often a password may be guessed depends on nothing that the client can choose."""

from itertools import count
from typing import Any

import pytest
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
    olga: Any, ana: Any, settings: Any, addresses: Any, name: str
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    answers = [guess(name, "wrong", host=host, address=addresses()) for host in HOSTS]
    assert ["Too many failed attempts" in each.content.decode() for each in answers] == [False] * LIMIT + [True]
    right = guess(name, PASSWORD, host="new.example.com", address=addresses())
    assert right.status_code == 200 and "Too many failed attempts" in right.content.decode()


def test_another_spelling_of_the_host_does_not_reset_the_limit_in_an_open_browser(
    olga: Any, ana: Any, settings: Any, sign_in: Any, addresses: Any
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    browser = sign_in(ana, headers={"host": "chat.example.com"})
    told = []
    for host in HOSTS:
        answer = browser.post(
            "/accounts/reauthenticate/", {"password": "wrong"}, headers={"host": host}, REMOTE_ADDR=addresses()
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
