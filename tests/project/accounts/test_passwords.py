"""A new password can also revoke the tokens that were made with the old one, and does so by default."""

import re
import threading
from collections.abc import Iterator
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from chat import api
from chat.access import identity
from chat.live.hints import Recheck
from chat.services import tokens
from chat.wire.errors import UserNotFound
from project.accounts import forms
from project.accounts.reset import ResetTokens
from tests.admin.pages import fields_in
from tests.cast import at_once, published
from tests.project.conftest import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "quiet-lantern-41"
CHANGE = "/accounts/password/change/"
SET = "/accounts/password/set/"


@pytest.fixture
def bot(ana: Any) -> str:
    """A token of Ana's."""
    return tokens.issue(by=ana, user=ana, name="bot")


@pytest.fixture
def others_bot(olga: Any) -> Iterator[str]:
    """A token of somebody else, which must still work after the test."""
    token = tokens.issue(by=olga, user=olga, name="hers")
    yield token
    assert works(token)


def works(token: str) -> bool:
    return identity.from_token(token) is not None


def reset_link(address: str) -> str:
    Client().post("/accounts/password/reset/", {"email": address})
    return next(word for word in mail.outbox[-1].body.split() if "/password/reset/key/" in word)


def reset(address: str, browser: Client | None = None) -> Any:
    """Follow the link from the mail in ``browser``, choose a new password, and return the page after it."""
    browser = browser or Client()
    form = browser.get(reset_link(address), follow=True)
    return browser.post(form.redirect_chain[-1][0], {"password1": NEW}, follow=True)


def as_shown(browser: Client, path: str, **wanted: str) -> dict[str, str]:
    """Return the form as a browser without scripts sends it back, with ``wanted`` filled in."""
    return {**fields_in(browser.get(path).content.decode()), **wanted}


def test_a_reset_revokes_tokens_that_a_former_holder_of_the_account_made(ana: Any, bot: str, others_bot: str) -> None:
    with published() as hints:
        answer = reset("ana@example.com")
    assert "all your tokens are revoked" in answer.content.decode()
    assert not works(bot)
    assert Recheck(str(ana.pk)) in hints, "sockets that it opened are closed"


def test_a_reset_that_cannot_revoke_the_tokens_sets_no_password(ana: Any, bot: str) -> None:
    browser = Client(raise_request_exception=False)
    with patch.object(api, "revoke_tokens", side_effect=RuntimeError):
        assert reset("ana@example.com", browser).status_code == 500
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD) and works(bot)


def addresses(person: Any) -> set[tuple[str, bool, bool]]:
    return set(EmailAddress.objects.filter(user=person).values_list("email", "verified", "primary"))


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_person_who_signed_up_with_anothers_address_is_locked_out_by_a_reset(
    olga: Any, ana: Any, confirmed: bool
) -> None:
    """ana's address was never confirmed: somebody else made the account and added an address of their own."""
    EmailAddress.objects.create(user=ana, email="ana@example.com", primary=not confirmed)
    EmailAddress.objects.create(user=ana, email="eve@example.com", verified=confirmed, primary=confirmed)
    eves = reset_link("eve@example.com")
    answer = reset("ana@example.com")
    assert "taken off your account: eve@example.com" in answer.content.decode()
    assert addresses(ana) == {("ana@example.com", True, True)}
    ana.refresh_from_db()
    assert ana.email == "ana@example.com"
    assert "This link does not work" in Client().get(eves, follow=True).content.decode()
    mail.outbox.clear()
    Client().post("/accounts/password/reset/", {"email": "eve@example.com"})
    assert "/password/reset/key/" not in mail.outbox[0].body


def test_confirmed_addresses_survive_a_reset(olga: Any, ana: Any) -> None:
    EmailAddress.objects.create(user=ana, email="ana@example.com", verified=True, primary=True)
    EmailAddress.objects.create(user=ana, email="ana@work.example", verified=True)
    EmailAddress.objects.create(user=ana, email="new@example.com")
    reset("ana@work.example")
    assert addresses(ana) == {("ana@example.com", True, True), ("ana@work.example", True, False)}


def test_a_reset_link_belongs_to_the_address_that_it_was_sent_to(ana: Any, olga: Any) -> None:
    link = reset_link("ANA@example.com")
    assert addresses(ana) == {("ana@example.com", False, False)}
    token = link.rstrip("/").rpartition("/")[2].partition("-")[2]
    found = ResetTokens().address_of(ana, token)
    assert found is not None and found.email == "ana@example.com"
    assert ResetTokens().address_of(olga, token) is None
    EmailAddress.objects.create(user=ana, email="eve@example.com")
    assert not ResetTokens().check_token(ana, token), "a link ends when the addresses change"


@pytest.mark.parametrize("way", ["change", "set"])
@pytest.mark.parametrize("ticked", [True, False])
def test_the_form_for_a_new_password_offers_to_revoke_tokens_in_a_ticked_box(
    ana: Any, bot: str, others_bot: str, sign_in: Any, way: str, ticked: bool
) -> None:
    browser = sign_in(ana)
    path = CHANGE
    if way == "set":  # as for a person who has none yet
        ana.set_unusable_password()
        ana.save()
        browser.force_login(ana)
        path = SET
    sent = as_shown(browser, path, password1=NEW, oldpassword=PASSWORD)
    assert sent["revoke_tokens"] == "on", "who does nothing about it is safe"
    if not ticked:
        sent.pop("revoke_tokens")
    assert browser.post(path, sent).status_code == 302
    ana.refresh_from_db()
    assert ana.check_password(NEW)
    assert works(bot) is not ticked


def test_the_box_looks_like_every_other_box(ana: Any, bot: str, sign_in: Any) -> None:
    """Its widget is our own class, which the template once took for a text field."""
    page = sign_in(ana).get(CHANGE).content.decode()
    box = re.search(r'<label class="choice"[^>]*>(?:(?!</label>).)*name="revoke_tokens"', page, re.DOTALL)
    assert box, page


def test_a_person_without_tokens_is_not_asked_about_them(ana: Any, sign_in: Any) -> None:
    browser = sign_in(ana)
    assert "revoke_tokens" not in as_shown(browser, CHANGE)
    tokens.issue(by=ana, user=ana)
    tokens.revoke_all(by=ana, user=ana)
    assert "revoke_tokens" not in as_shown(browser, CHANGE)


def test_a_token_made_while_the_form_is_open_is_revoked_with_the_old_password(ana: Any, sign_in: Any) -> None:
    """Otherwise somebody with a stolen session would keep a token that ana was never asked about."""
    browser = sign_in(ana)
    sent = as_shown(browser, CHANGE, password1=NEW, oldpassword=PASSWORD)
    assert "revoke_tokens" not in sent, "the premise"
    token = tokens.issue(by=ana, user=ana)
    assert browser.post(CHANGE, sent).status_code == 302
    assert not works(token)


def test_a_wrong_old_password_revokes_nothing(ana: Any, bot: str, sign_in: Any) -> None:
    browser = sign_in(ana)
    answer = browser.post(CHANGE, as_shown(browser, CHANGE, password1=NEW, oldpassword="guess"))
    assert answer.status_code == 200 and works(bot)
    assert 'name="revoke_tokens"' in answer.content.decode()


@pytest.mark.parametrize("button", ["set-password", "unset-password"])
@pytest.mark.parametrize("ticked", [True, False])
def test_the_admins_form_for_a_new_password_offers_to_revoke_the_persons_tokens(
    olga: Any, ana: Any, bot: str, others_bot: str, sign_in: Any, button: str, ticked: bool
) -> None:
    browser, path = sign_in(olga), f"/admin/auth/user/{ana.pk}/password/"
    usable = str(button == "set-password").lower()
    sent = as_shown(browser, path, password1=NEW, password2=NEW, usable_password=usable)
    assert sent["revoke_tokens"] == "on"
    if not ticked:
        sent.pop("revoke_tokens")
    assert browser.post(path, {**sent, button: "x"}).status_code == 302
    ana.refresh_from_db()
    assert ana.has_usable_password() is (button == "set-password")
    assert works(bot) is not ticked


def test_the_admin_uses_the_sites_page_for_changing_ones_own_password(olga: Any, sign_in: Any) -> None:
    answer = sign_in(olga).get("/admin/password_change/")
    assert answer.headers["Location"] == CHANGE


@pytest.mark.parametrize("keep", [True, False])
def test_the_changepassword_command_revokes_tokens_unless_told_otherwise(
    ana: Any, bot: str, others_bot: str, keep: bool
) -> None:
    with patch("getpass.getpass", return_value=NEW):
        call_command("changepassword", "ana", keep_tokens=keep, stdout=StringIO())
    ana.refresh_from_db()
    assert ana.check_password(NEW)
    assert works(bot) is keep


def test_a_host_can_revoke_all_tokens_of_a_person_in_its_own_transaction(ana: Any, bot: str, others_bot: str) -> None:
    second = tokens.issue(by=ana, user=ana)
    with transaction.atomic():
        api.revoke_tokens(ana)
        transaction.set_rollback(True)
    assert works(bot) and works(second)
    with published() as hints:
        assert api.revoke_tokens(ana) == 2
    assert hints == [Recheck(str(ana.pk))]
    assert not works(bot) and not works(second)
    with published() as hints:
        assert api.revoke_tokens(ana) == 0
    assert not hints


def test_a_session_that_a_new_password_has_ended_cannot_make_a_token(ana: Any, sign_in: Any) -> None:
    browser, stale = sign_in(ana), get_user_model()._default_manager.get(pk=ana.pk)
    real = tokens.issue

    def late(**given: Any) -> str:
        ana.set_password(NEW)  # after the view has found out who is asking
        ana.save()
        return real(**given)

    with patch.object(tokens, "issue", late):
        answer = browser.post("/settings/tokens/", {"action": "make", "name": "x"}, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/accounts/login/")
    with pytest.raises(UserNotFound):
        tokens.issue(by=stale, user=stale)
    assert not tokens.active(user=ana)


@pytest.mark.django_db(transaction=True)
def test_a_token_that_is_made_during_a_reset_is_revoked_by_it(ana: Any) -> None:
    asking, made = threading.Event(), list[str]()

    def ask_for_tokens() -> None:
        stale = get_user_model()._default_manager.get(pk=ana.pk)
        asking.set()
        for _ in range(5_000):
            try:
                made.append(tokens.issue(by=stale, user=stale))
            except UserNotFound:
                return
        raise AssertionError("the old session makes tokens for ever")

    def reset_it() -> None:
        asking.wait(10)
        person = get_user_model()._default_manager.get(pk=ana.pk)
        form = forms.ResetPasswordKeyForm({"password1": NEW}, user=person, temp_key="x-y")
        assert form.is_valid(), form.errors
        form.save()

    outcomes = at_once([ask_for_tokens, reset_it])
    assert outcomes == [None, None], outcomes
    assert not any(works(each) for each in made)
