"""Every account page and every error page has the site's own look."""

from typing import Any
from unittest.mock import patch

import pytest
from django.core.exceptions import SuspiciousOperation
from django.test import Client, RequestFactory
from django.urls import get_resolver

from chat.web.page_config import site_context
from project.accounts import context, invitations, site

pytestmark = pytest.mark.django_db
SIGNED_OUT = [
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/password/reset/key/1-abc/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/abc/",
    "/accounts/inactive/",
    "/invite/abc/",
    "/nowhere/",
]
SIGNED_IN = [
    "/settings/",
    "/settings/sessions/",
    "/settings/delete/",
    "/settings/site/",
    "/settings/invitations/",
    "/accounts/email/",
    "/accounts/password/change/",
]


def shown(answer: Any) -> str:
    return str(answer.content.decode())


def assert_is_a_card(page: str) -> None:
    assert '<main class="card-page"' in page
    assert 'class="card__title"' in page
    assert "The Harbour" in page


@pytest.mark.parametrize("path", SIGNED_OUT)
def test_a_public_page_is_shown_as_a_card(path: str, olga: Any) -> None:
    page = shown(Client().get(path))
    assert_is_a_card(page)
    assert "style=" not in page


@pytest.mark.parametrize("path", SIGNED_IN)
def test_a_settings_page_is_shown_inside_the_chats_frame(path: str, olga: Any, sign_in: Any) -> None:
    invitations.create(by=olga)
    page = shown(sign_in(olga).get(path))
    assert 'class="panel"' in page
    assert "chat-config" in page
    assert "The Harbour" in page
    assert f'href="{path}" aria-current="page"' in page
    assert "style=" not in page


@pytest.mark.parametrize("path", ["/accounts/logout/", "/accounts/reauthenticate/"])
def test_a_question_to_a_signed_in_person_is_shown_as_a_card(path: str, olga: Any, sign_in: Any) -> None:
    assert_is_a_card(shown(sign_in(olga).get(path)))


def test_no_page_of_allauth_was_forgotten(olga: Any) -> None:
    patterns = {str(key) for key in get_resolver().reverse_dict if isinstance(key, str) and key.startswith("account_")}
    assert patterns == {
        "account_change_password",
        "account_confirm_email",
        "account_confirm_login_code",
        "account_email",
        "account_email_verification_sent",
        "account_inactive",
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "account_set_password",
        "account_signup",
    }


def test_the_page_for_too_many_attempts_has_the_same_look(olga: Any) -> None:
    browser = Client()
    answers = [browser.post("/accounts/login/", {"login": "olga", "password": "guess"}) for _ in range(31)]
    assert "Too many failed attempts" in shown(answers[10])
    assert answers[-1].status_code == 429
    assert_is_a_card(shown(answers[-1]))


def test_a_limit_counts_the_client_and_not_the_proxy(olga: Any, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    guess = {"login": "olga", "password": "guess"}
    # The client wrote the left part itself, so changing it must not help.
    limited = [
        Client().post("/accounts/login/", guess, headers={"x-forwarded-for": f"9.9.9.{each}, 10.0.0.9"})
        for each in range(31)
    ]
    assert limited[-1].status_code == 429
    other = Client().post("/accounts/login/", guess, headers={"x-forwarded-for": "10.0.0.9, 10.0.0.10"})
    assert other.status_code == 200


def test_the_page_that_refuses_a_forged_form_has_the_same_look(olga: Any) -> None:
    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {})
    assert answer.status_code == 403
    assert_is_a_card(shown(answer))


def test_the_page_that_forbids_access_has_the_same_look(olga: Any, ana: Any, sign_in: Any) -> None:
    answer = sign_in(ana).get("/settings/site/")
    assert answer.status_code == 403
    assert_is_a_card(shown(answer))


def test_the_page_for_a_server_error_needs_no_database(olga: Any, django_assert_num_queries: Any) -> None:
    browser = Client(raise_request_exception=False)
    with patch.object(site, "has_accounts", side_effect=RuntimeError), django_assert_num_queries(0):
        answer = browser.get("/accounts/login/")
    assert answer.status_code == 500
    assert "That is our fault" in shown(answer)


def test_a_suspicious_request_gets_the_sites_own_page(olga: Any) -> None:
    with patch.object(site, "has_accounts", side_effect=SuspiciousOperation):
        answer = Client().get("/accounts/login/")
    assert answer.status_code == 400
    assert "That was not understood" in shown(answer)


def test_the_frame_of_other_pages_has_all_values_that_the_chat_provides(olga: Any) -> None:
    request = RequestFactory().get("/")
    request.user = olga
    assert set(site_context(request)) == set(context.FRAME)


@pytest.mark.parametrize("path", ["/accounts/email/", "/accounts/password/change/", "/settings/", "/rooms/999999/"])
def test_pages_of_a_signed_in_person_are_not_cached(path: str, olga: Any, sign_in: Any) -> None:
    assert "no-store" in sign_in(olga).get(path).headers["Cache-Control"]


@pytest.mark.parametrize("path", [each for each in SIGNED_OUT if each.startswith("/accounts/")])
def test_account_pages_are_not_cached(path: str, olga: Any) -> None:
    assert "no-store" in Client().get(path).headers["Cache-Control"]


@pytest.mark.parametrize("path", [each for each in SIGNED_IN if each.startswith("/settings/")])
def test_settings_pages_accept_get_head_and_post_only(path: str, olga: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    assert browser.head(path).status_code == 200
    assert browser.put(path).status_code == 405


def test_each_link_in_the_list_has_controls_labelled_with_its_name(olga: Any, sign_in: Any) -> None:
    first, second = (invitations.create(by=olga, note=note) for note in ("For Ben", "For Eve"))
    page = shown(sign_in(olga).get("/settings/invitations/"))
    for each in (first, second):
        assert f'id="link-{each.pk}" dir="auto">{each.note}</span>' in page
        for control in ("revoke", "url", "copy"):
            assert f'aria-labelledby="{control}-{each.pk} link-{each.pk}"' in page
            assert page.count(f'id="{control}-{each.pk}"') == 1
