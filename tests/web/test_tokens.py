"""The tokens page: a token is shown once, to its owner alone."""

import re
from typing import Any

from django.utils import timezone

from chat.access.identity import digest
from chat.access.policy import Policy
from chat.models import Token
from chat.services import tokens
from tests.web.pages import address, opened, read, sent


def test_a_token_is_shown_once_and_works(ana: Any, browser_of: Any):
    client = browser_of(ana)
    response = client.post(address("tokens"), {"action": "make", "name": "robot"})
    (made,) = re.findall(r"hearth_[\w-]{43}", response.content.decode())
    assert Token.objects.get(user=ana).digest == digest(made)
    assert "no-store" in response["Cache-Control"]
    page = client.get(address("tokens")).content.decode()
    assert "robot" in page and made not in page and "never used" in page and "does not expire" in page


def test_the_page_shows_when_a_token_was_used_and_expires(ana: Any, browser_of: Any, settings: Any):
    settings.CHAT = {**settings.CHAT, "TOKEN_DAYS": 3}
    tokens.issue(by=ana, user=ana, name="robot")
    Token.objects.update(last_used_at=timezone.now())
    page = opened(browser_of(ana), "tokens")
    assert "last used on" in page and "expires on" in page


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
