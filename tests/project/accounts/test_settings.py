"""A person's settings and the site's, and their effects on sessions, sockets and messages."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from allauth.core import context
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client, RequestFactory

from chat import api
from chat.access.identity import digest
from chat.live.hints import Recheck, SessionEnded
from chat.models import Membership, Message
from project.accounts import invitations, site
from project.accounts.adapter import AccountAdapter
from project.accounts.devices import describe
from project.accounts.models import SiteSettings
from tests.cast import published
from tests.project.conftest import PASSWORD, people

pytestmark = pytest.mark.django_db
NEW = "quiet-lantern-41"
MAILS = Path(__file__).parents[3] / "project" / "templates" / "account" / "email"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile Safari/604.1"


NEW_ADDRESS = {"action_add": "1", "email": "new@example.com"}


def shown(answer: Any) -> str:
    return str(answer.content.decode())


def is_signed_in(browser: Client) -> bool:
    return browser.get("/settings/").status_code == 200


def test_a_person_can_change_their_display_name_and_user_name(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(ana)
    answer = browser.post("/settings/", {"first_name": "  Ana  Maria Vale ", "username": "Ana"}, follow=True)
    assert "Your profile is saved" in shown(answer)
    ana.refresh_from_db()
    assert (ana.first_name, ana.username) == ("Ana Maria Vale", "Ana")
    for name in ("OLGA", "ｏｌｇａ"):
        answer = browser.post("/settings/", {"first_name": "A", "username": name})
        assert "Somebody else has this user name" in shown(answer)
    assert people() == {"olga", "Ana"}


def test_a_name_in_two_parts_is_shown_whole_and_not_doubled_by_saving(ana: Any, sign_in: Any) -> None:
    get_user_model().objects.filter(pk=ana.pk).update(first_name="Ana", last_name="Vale")
    browser = sign_in(ana)
    assert 'value="Ana Vale"' in shown(browser.get("/settings/"))
    browser.post("/settings/", {"first_name": "Ana Vale", "username": "ana"})
    ana.refresh_from_db()
    assert ana.get_full_name() == "Ana Vale"


def test_a_new_password_keeps_this_session_and_ends_the_others(olga: Any, ana: Any, sign_in: Any) -> None:
    here, there = sign_in(ana), sign_in(ana)
    wrong = here.post("/accounts/password/change/", {"oldpassword": "guess", "password1": NEW})
    assert "That is not your password" in shown(wrong)
    with published() as hints:
        here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": NEW})
    assert Recheck(str(ana.pk)) in hints
    assert is_signed_in(here)
    assert not is_signed_in(there)
    assert Client().login(username="ana", password=NEW)
    assert [each.subject for each in mail.outbox] == ["[The Harbour] Your password was changed"]
    assert "If that was not you" in mail.outbox[0].body
    assert "Browser:" in mail.outbox[0].body


def test_a_forgotten_password_is_replaced_through_a_link_in_a_mail(olga: Any, ana: Any) -> None:
    browser = Client()
    browser.post("/accounts/password/reset/", {"email": "ana@example.com"})
    link = next(word for word in mail.outbox[0].body.split() if "/password/reset/key/" in word)
    form = browser.get(link, follow=True)
    answer = browser.post(form.redirect_chain[-1][0], {"password1": NEW}, follow=True)
    assert "Your password is changed" in shown(answer)
    assert Client().login(username="ana", password=NEW)
    assert "This link does not work" in shown(Client().get(link, follow=True))


def test_signing_out_publishes_which_session_has_ended(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(ana)
    key = browser.session.session_key
    with patch("chat.receivers.publish") as publish:
        answer = browser.post("/accounts/logout/")
    assert answer.headers["Location"] == "/accounts/login/"
    assert publish.call_args.args[0] == [SessionEnded(str(ana.pk), digest(key))]


def test_sessions_are_listed_by_device_and_one_can_end_another(olga: Any, ana: Any, sign_in: Any) -> None:
    here, phone = sign_in(ana, headers={"user-agent": FIREFOX}), sign_in(ana, headers={"user-agent": IPHONE})
    page = shown(here.get("/settings/sessions/"))
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.index("This one") < page.index("Safari on iPhone")
    other = UserSession.objects.get(session_key=phone.session.session_key)
    with published() as hints:
        here.post("/settings/sessions/", {"session": other.pk})
    assert hints == [Recheck(str(ana.pk))]
    assert not is_signed_in(phone)
    assert is_signed_in(here)


def test_a_person_can_end_all_their_other_sessions_but_nobody_elses(olga: Any, ana: Any, sign_in: Any) -> None:
    here, there, owner = sign_in(ana), sign_in(ana), sign_in(olga)
    foreign = UserSession.objects.get(user=olga)
    for given in ({"session": foreign.pk}, {"session": "x"}, {"session": "9" * 40}):
        here.post("/settings/sessions/", given)
    assert is_signed_in(there)
    here.post("/settings/sessions/")
    assert [is_signed_in(each) for each in (here, there, owner)] == [True, False, True]


def test_last_seen_is_not_written_at_each_request(
    olga: Any, ana: Any, sign_in: Any, django_assert_max_num_queries: Any
) -> None:
    browser = sign_in(ana)
    seen = UserSession.objects.get(user=ana).last_seen_at
    browser.get("/settings/")
    assert UserSession.objects.get(user=ana).last_seen_at == seen
    UserSession.objects.update(last_seen_at=seen.replace(year=2020))
    browser.get("/settings/")
    assert UserSession.objects.get(user=ana).last_seen_at >= seen


def test_a_deleted_account_leaves_its_messages_without_an_author(olga: Any, ana: Any, sign_in: Any) -> None:
    room = api.create_room("General", olga, kind="open", members=[ana])
    api.post(room, ana, "I was here")
    browser = sign_in(ana)
    assert "That is not your password" in shown(browser.post("/settings/delete/", {"password": "guess"}))
    with published() as hints:
        answer = browser.post("/settings/delete/", {"password": PASSWORD}, follow=True)
    assert "Your account is deleted" in shown(answer)
    assert Recheck(str(ana.pk)) in hints
    assert people() == {"olga"}
    message = Message.objects.get()
    assert (message.author, message.body) == (None, "I was here")
    assert [each.user_id for each in Membership.objects.present().filter(room=room)] == [olga.pk]


def test_the_last_owner_cannot_delete_their_account_while_others_are_active(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    assert "You are the only one who can manage" in shown(browser.post("/settings/delete/", {"password": PASSWORD}))
    assert people() == {"olga", "ana"}
    get_user_model()._default_manager.filter(pk=ana.pk).update(is_active=False)
    browser.post("/settings/delete/", {"password": PASSWORD})
    assert people() == {"ana"}


def test_adding_an_address_requires_the_password(olga: Any, ana: Any, sign_in: Any, settings: Any) -> None:
    settings.MAIL_IS_SET_UP = True
    browser = sign_in(ana)
    answer = browser.post("/accounts/email/", NEW_ADDRESS, follow=True)
    assert "Give your password once more" in shown(answer)
    asked_at = answer.redirect_chain[-1][0]
    assert "That is not your password" in shown(browser.post(asked_at, {"password": "guess"}))
    assert not ana.emailaddress_set.filter(email="new@example.com").exists()
    answer = browser.post(asked_at, {"password": PASSWORD}, follow=True)
    assert "new@example.com" in shown(answer)
    assert "A link to confirm it was sent" in shown(answer)


def test_where_mail_is_sent_tokens_are_for_confirmed_addresses(
    olga: Any, ana: Any, sign_in: Any, settings: Any
) -> None:
    browser, make = sign_in(ana), {"action": "make", "name": "robot"}
    settings.MAIL_IS_SET_UP = True
    assert "Confirm your e-mail address first" in shown(browser.get("/settings/tokens/"))
    assert "Your new token" not in shown(browser.post("/settings/tokens/", make))
    settings.ACCOUNT_EMAIL_VERIFICATION = "none"
    assert "Your new token" in shown(browser.post("/settings/tokens/", make)), "no address is ever confirmed there"
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"
    ana.emailaddress_set.create(email="ana@example.com", verified=True, primary=True)
    assert "Your new token" in shown(browser.post("/settings/tokens/", make))


def test_a_site_without_a_mail_server_does_not_pretend_to_have_sent_mail(
    olga: Any, ana: Any, sign_in: Any, settings: Any
) -> None:
    settings.MAIL_IS_SET_UP = False
    browser = sign_in(ana)
    asked = browser.post("/accounts/email/", NEW_ADDRESS, follow=True)
    sent = browser.post(asked.redirect_chain[-1][0], {"password": PASSWORD}, follow=True)
    reset = Client().post("/accounts/password/reset/", {"email": "ana@example.com"}, follow=True)
    for answer in (sent, reset):
        assert "finds the link in its log" in shown(answer)
    assert "was sent" not in shown(sent)


def test_every_mail_is_in_the_sites_own_words(olga: Any) -> None:
    given = {
        "user": olga, "activate_url": "the:link", "password_reset_url": "the:link", "ip": "10.0.0.9",
        "user_agent": "Firefox", "from_email": "a@example.com", "to_email": "b@example.com",
        "deleted_email": "a@example.com",
    }  # fmt: skip
    kinds = sorted(path.name.removesuffix("_subject.txt") for path in MAILS.glob("*_subject.txt"))
    assert len(kinds) == 11
    for kind in kinds:
        with context.request_context(RequestFactory().get("/")):
            AccountAdapter().send_mail(f"account/email/{kind}", "olga@example.com", given)
        sent = mail.outbox[-1]
        assert sent.subject.startswith("[The Harbour] ")
        assert sent.body.endswith("-- \nThe Harbour")
        assert "Hello from" not in sent.body
        assert "receiving" not in sent.body
        assert ("the:link" in sent.body.split()) is (
            kind.startswith(("email_confirmation", "password_reset_key", "account_"))
        )


def test_only_an_owner_can_rename_the_site_and_everybody_sees_it_at_once(
    olga: Any, ana: Any, sign_in: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert sign_in(ana).get("/settings/site/").status_code == 403
    assert [(each.getMessage(), each.exc_info) for each in caplog.records if each.name == "django.request"] == [
        ("Forbidden (Permission denied): /settings/site/", None)
    ]
    owner = sign_in(olga)
    given = {"name": "The  Lighthouse", "sign_up": "open", "members_invite": "on"}
    assert "are saved" in shown(owner.post("/settings/site/", given, follow=True))
    assert "The Lighthouse" in shown(Client().get("/accounts/login/"))
    assert (site.current().sign_up, site.current().members_invite) == ("open", True)


# In the admin --------------------------------------------------------------------------------------------------------


def test_deactivating_accounts_together_closes_their_sockets(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    chosen = {"action": "deactivate", "_selected_action": [ana.pk, olga.pk]}
    with published() as hints:
        assert browser.post("/admin/auth/user/", chosen, follow=True).status_code == 200
    assert Recheck(str(ana.pk)) in hints
    assert list(get_user_model()._default_manager.filter(is_active=True)) == [olga]


def test_the_admin_does_not_delete_the_last_owner(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    answer = browser.post(f"/admin/auth/user/{olga.pk}/delete/", {"post": "yes"}, follow=True)
    assert "You are the only one" in shown(answer)
    browser.post(f"/admin/auth/user/{ana.pk}/delete/", {"post": "yes"})
    assert people() == {"olga"}


def test_invitations_are_listed_by_state_and_revoked_in_the_admin(olga: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    first, second = invitations.create(by=olga, note="First"), invitations.create(by=olga, note="Second", max_uses=1)
    type(second).objects.filter(pk=second.pk).update(uses=1)
    held = {state: shown(browser.get(f"/admin/accounts/invitation/?state={state}")) for state in ("usable", "used_up")}
    assert ("First" in held["usable"], "Second" in held["usable"]) == (True, False)
    assert ("First" in held["used_up"], "Second" in held["used_up"]) == (False, True)
    browser.post("/admin/accounts/invitation/", {"action": "revoke", "_selected_action": [first.pk]})
    first.refresh_from_db()
    assert first.state == "revoked"
    assert browser.get(f"/admin/accounts/invitation/{first.pk}/change/").status_code == 200
    assert browser.get("/admin/accounts/sitesettings/").status_code == 200


def test_the_admin_uses_the_sites_login_page(olga: Any, ana: Any, sign_in: Any) -> None:
    assert Client().get("/admin/login/").headers["Location"].startswith("/accounts/login/")
    assert sign_in(ana).get("/admin/", follow=True).status_code == 403


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/140 Safari/537.36 Edg/140", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8", "Unknown device"),
    ],
)
def test_a_device_is_described_in_words(user_agent: str, words: str) -> None:
    assert describe(user_agent) == words


def test_the_settings_row_is_made_again_after_the_database_was_emptied(db: None) -> None:
    SiteSettings.objects.all().delete()
    assert site.current().sign_up == "invitation"
    assert site.name() == "Hearth"
    assert site.locked().pk == 1
