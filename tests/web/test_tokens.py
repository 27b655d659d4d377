"""The tokens page: a token is shown once, to its owner alone."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from chat.access import fresh_sign_in
from chat.access.identity import digest
from chat.access.policy import SITE, Policy
from chat.models import Token
from chat.services import limits, tokens
from tests.web.pages import address, opened, read, sent

PASSWORD = "winter-harbour-57"


@pytest.fixture(autouse=True)
def without_the_sites_own_rules(settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": "chat.access.policy.Policy"}


def test_a_token_is_shown_once_and_works(ana: Any, browser_of: Any):
    client = browser_of(ana)
    response = client.post(address("tokens"), {"action": "make", "name": "robot"})
    (made,) = re.findall(r"hearth_[\w-]{43}", response.content.decode())
    assert Token.objects.get(user=ana).digest == digest(made)
    assert "no-store" in response["Cache-Control"]
    page = client.get(address("tokens")).content.decode()
    assert "robot" in page and made not in page and "never used" in page and "expires on" in page


def test_the_page_shows_when_a_token_was_used_and_that_it_does_not_expire(ana: Any, browser_of: Any, settings: Any):
    settings.CHAT = {**settings.CHAT, "TOKEN_DAYS": 0}
    tokens.issue(by=ana, user=ana, name="robot")
    Token.objects.update(last_used_at=timezone.now())
    page = opened(browser_of(ana), "tokens")
    assert "last used on" in page and "does not expire" in page


def test_a_revoked_token_is_gone_and_other_people_cannot_revoke_it(ana: Any, ben: Any, browser_of: Any):
    tokens.issue(by=ana, user=ana, name="robot")
    token = Token.objects.get()
    for nonsense in (token.pk, "x", "", "9" * 40):
        sent(browser_of(ben), "tokens", action="revoke", token=nonsense)
    assert "robot" in opened(browser_of(ana), "tokens") and "robot" not in opened(browser_of(ben), "tokens")
    page = sent(browser_of(ana), "tokens", action="revoke", token=token.pk)
    assert "The token is revoked." in page and "You have no tokens." in page


def test_a_name_is_needed_and_is_text(ana: Any, browser_of: Any):
    client = browser_of(ana)
    assert "This field is required." in read(client.post(address("tokens"), {"action": "make", "name": " "}))
    assert not Token.objects.exists()
    html = client.post(address("tokens"), {"action": "make", "name": "<script>alert(1)</script>"}).content.decode()
    assert "<script>alert" not in html and "&lt;script&gt;" in html


class OnlyTheSite(Policy):
    def can_manage_tokens(self, user: Any, owner: Any) -> bool:
        return False


def test_a_policy_that_keeps_tokens_to_the_site_is_no_error(ben: Any, browser_of: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.OnlyTheSite"}
    answer = browser_of(ben).post(address("tokens"), {"action": "revoke", "token": "1"})
    assert (answer.status_code, answer["Location"]) == (302, address("tokens"))


@pytest.fixture
def open_browser(ana: Any, browser_of: Any) -> Client:
    """A browser that ana has left open: her sign-in is a while ago."""
    ana.set_password(PASSWORD)
    ana.save()
    client: Client = browser_of(ana)
    session = client.session
    session[fresh_sign_in.SESSION_KEY] -= fresh_sign_in.FRESH_S
    session.save()
    return client


def test_an_open_browser_is_not_enough_for_a_token(open_browser: Client) -> None:
    assert "Your password" in opened(open_browser, "tokens")
    for fields in ({}, {"password": ""}, {"password": "wrong"}):
        page = sent(open_browser, "tokens", action="make", name="robot", **fields)
        assert "not your password" in page or "This field is required." in page
    assert not Token.objects.exists()
    page = sent(open_browser, "tokens", action="make", name="robot", password=PASSWORD)
    assert "Your new token" in page
    assert "Your password" not in opened(open_browser, "tokens"), "for some minutes that is enough"


def test_a_sign_in_of_the_future_is_not_fresh(open_browser: Client) -> None:
    session = open_browser.session
    session[fresh_sign_in.SESSION_KEY] += 10_000
    session.save()
    assert "Your password" in opened(open_browser, "tokens")


def test_the_password_cannot_be_guessed_there(open_browser: Client) -> None:
    for _ in range(limits.PASSWORD_BURST):
        assert "not your password" in sent(open_browser, "tokens", action="make", name="robot", password="wrong")
    page = sent(open_browser, "tokens", action="make", name="robot", password=PASSWORD)
    assert "Too many attempts" in page
    assert not Token.objects.exists()


def test_who_signs_in_without_a_password_here_signs_in_again(ana: Any, open_browser: Client) -> None:
    ana.set_unusable_password()
    ana.save()
    open_browser.force_login(ana)
    assert "Your new token" in sent(open_browser, "tokens", action="make", name="robot")
    session = open_browser.session
    session[fresh_sign_in.SESSION_KEY] = 0
    session.save()
    assert "sign out and in again" in opened(open_browser, "tokens")
    assert "Sign out and in again" in sent(open_browser, "tokens", action="make", name="second", password="")
    assert Token.objects.count() == 1


def test_a_person_has_so_many_tokens_and_those_that_ended_do_not_count(
    ana: Any, ben: Any, browser_of: Any, settings: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "TOKENS_PER_USER": 2}
    client = browser_of(ana)
    for name in ("one", "two"):
        assert "Your new token" in sent(client, "tokens", action="make", name=name)
    assert "You have 2 tokens. Revoke one first." in sent(client, "tokens", action="make", name="three")
    assert "Your new token" in sent(browser_of(ben), "tokens", action="make", name="his")
    Token.objects.filter(name="one").update(expires_at=timezone.now())
    assert "Your new token" in sent(client, "tokens", action="make", name="three")
    tokens.revoke(by=ana, user=ana, token_id=Token.objects.get(name="two").pk)
    assert "Your new token" in sent(client, "tokens", action="make", name="four")


class NotYet(Policy):
    def token_obstacle(self, owner: Any) -> str:
        return "Not before Monday."


def test_a_policy_says_why_there_is_no_token_and_the_service_asks_it(ana: Any, browser_of: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.NotYet"}
    page = opened(browser_of(ana), "tokens")
    assert "Not before Monday." in page and "Make a token" not in page
    sent(browser_of(ana), "tokens", action="make", name="robot")
    with pytest.raises(tokens.TokenRefused, match="Monday"):
        tokens.issue(by=ana, user=ana)
    assert not Token.objects.exists()
    assert tokens.issue(by=SITE, user=ana), "no policy binds the site"
