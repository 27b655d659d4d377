"""Sign-up, as the site's setting and invitations allow it. The form checks this, and so does making the account."""

import re
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.utils import timezone

from chat import api
from chat.models import Membership
from project.accounts import invitations, signup
from project.accounts.errors import InvitingForbidden, NameTaken, SignUpClosed
from project.accounts.models import Invitation, SiteSettings
from tests.project.conftest import new_person, people

pytestmark = pytest.mark.django_db
NOT_VALID = "This invitation is not valid"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="\w+"')


@pytest.fixture
def client() -> Client:
    return Client()


def let_in(how: str, **changed: Any) -> None:
    SiteSettings.objects.filter(pk=1).update(sign_up=how, **changed)


def shown(answer: Any) -> str:
    return str(answer.content.decode())


def test_on_an_open_site_everybody_can_sign_up_and_joins_the_first_rooms(client: Client, olga: Any) -> None:
    general, gone = (api.create_room(name, olga, kind="open") for name in ("General", "Gone"))
    api.archive_room(gone)
    let_in("open", first_rooms=[general.pk, gone.pk, 999_999])
    answer = client.post("/accounts/signup/", new_person("ben"), follow=True)
    assert answer.redirect_chain[-1][0] == "/"
    ben = answer.wsgi_request.user
    assert (ben.username, ben.first_name, ben.email) == ("ben", "Ben Moss", "ben@example.com")
    assert not ben.is_staff
    assert [each.room_id for each in Membership.objects.filter(user=ben)] == [general.pk]


def test_an_invitation_leads_to_an_account_and_is_counted(client: Client, olga: Any) -> None:
    invitation = invitations.create(by=olga, max_uses=2)
    page = shown(client.get(f"/invite/{invitation.code}/"))
    assert "The Harbour" in page
    assert "Olga Reed invites you" in page
    assert "sessionid" not in client.cookies  # a GET stores nothing
    answer = client.post(f"/invite/{invitation.code}/", follow=True)
    assert invitation.code not in shown(answer)
    client.post("/accounts/signup/", new_person("ben"))
    invitation.refresh_from_db()
    assert people() == {"olga", "ben"}
    assert invitation.uses == 1
    assert "invitation" not in client.session


def test_nobody_can_sign_up_without_an_invitation(client: Client, olga: Any) -> None:
    assert "You need an invitation link" in shown(client.get("/accounts/signup/"))
    assert "You need an invitation link" in shown(client.post("/accounts/signup/", new_person("ben")))
    assert people() == {"olga"}


VOID = {
    "unknown": None,
    "revoked": {"revoked_at": timezone.now()},
    "expired": {"expires_at": timezone.now() - timedelta(seconds=1)},
    "used up": {"max_uses": 3, "uses": 3},
    "of nobody": {"created_by": None},
}


@pytest.mark.parametrize("why", VOID)
def test_every_void_invitation_gets_the_same_answer(why: str, client: Client, olga: Any) -> None:
    code = invitations.create(by=olga).code
    client.post(f"/invite/{code}/")  # while it is still valid
    unknown = shown(client.get("/invite/unknown/"))
    if VOID[why] is None:
        code = "unknown"
        session = client.session
        session["invitation"] = code
        session.save()
    else:
        Invitation.objects.update(**VOID[why])
    answer = client.get(f"/invite/{code}/")
    assert answer.status_code == 404
    assert NOT_VALID in unknown
    assert shown(answer) == unknown
    assert "You need an invitation link" in shown(client.post("/accounts/signup/", new_person("ben")))
    assert people() == {"olga"}


def test_on_a_closed_site_not_even_invited_people_can_sign_up(client: Client, olga: Any) -> None:
    code = invitations.create(by=olga).code
    client.post(f"/invite/{code}/")
    let_in("closed")
    assert client.get(f"/invite/{code}/").status_code == 404
    assert "Nobody can sign up" in shown(client.post("/accounts/signup/", new_person("ben")))
    assert people() == {"olga"}


def test_making_an_account_checks_again_what_the_form_has_checked(olga: Any) -> None:
    with pytest.raises(SignUpClosed):
        signup.make_account(lambda: pytest.fail("it must not come to that"), code="")


def test_a_sign_up_that_fails_at_the_last_moment_does_not_use_the_invitation(
    client: Client, olga: Any, ana: Any
) -> None:
    invitation = invitations.create(by=olga)
    with pytest.raises(NameTaken):
        signup.make_account(lambda: type(ana).objects.create(username="ana"), code=invitation.code)
    invitation.refresh_from_db()
    assert invitation.uses == 0


def test_a_members_links_are_valid_as_long_as_members_may_invite(client: Client, olga: Any, ana: Any) -> None:
    with pytest.raises(InvitingForbidden):
        invitations.create(by=ana)
    let_in("invitation", members_invite=True)
    code = invitations.create(by=ana).code
    assert client.get(f"/invite/{code}/").status_code == 200
    let_in("invitation", members_invite=False)
    assert client.get(f"/invite/{code}/").status_code == 404


def test_people_can_see_and_revoke_their_own_invitations_and_owners_all_of_them(
    olga: Any, ana: Any, sign_in: Any
) -> None:
    let_in("invitation", members_invite=True)
    hers, the_owners = invitations.create(by=ana, note="Hers"), invitations.create(by=olga, note="The owner's")
    browser = sign_in(ana)
    page = shown(browser.get("/settings/invitations/"))
    assert hers.code in page
    assert the_owners.code not in page
    browser.post("/settings/invitations/", {"revoke": the_owners.pk})
    assert Invitation.objects.filter(revoked_at=None).count() == 2
    sign_in(olga).post("/settings/invitations/", {"revoke": hers.pk})
    assert Invitation.objects.get(revoked_at=None) == the_owners


def test_one_person_has_a_bounded_number_of_invitations(olga: Any, ana: Any, sign_in: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(invitations, "INVITATIONS_PER_PERSON", 3)
    let_in("invitation", members_invite=True)
    old = invitations.create(by=ana)
    invitations.revoke(by=ana, key=old.pk)
    Invitation.objects.update(created_at=timezone.now() - timedelta(days=2))
    browser = sign_in(ana)
    for _ in range(5):
        answer = browser.post("/settings/invitations/", {"note": ""}, follow=True)
    assert "You have made very many links" in shown(answer)
    assert Invitation.objects.count() == 1 + 3, "what is revoked and old does not count"
    browser.post("/settings/invitations/", {"revoke": Invitation.objects.latest("pk").pk})
    browser.post("/settings/invitations/", {"note": ""})
    assert Invitation.objects.count() == 1 + 3, "revoking one does not make room for another on the same day"
    owners = sign_in(olga)
    for _ in range(3):
        assert owners.post("/admin/accounts/invitation/add/", {"note": ""}).status_code == 302
    assert "You have made very many links" in shown(owners.post("/admin/accounts/invitation/add/", {"note": ""}))


@pytest.mark.parametrize(
    "name", ["ANA", "ａｎａ", "\u0430na", "ana\u3164", "a", "ana@example.com", "-ana", "ana vale", "x" * 41]
)
def test_a_user_name_that_is_taken_or_cannot_be_mentioned_is_refused(
    name: str, client: Client, olga: Any, ana: Any
) -> None:
    let_in("open")
    client.post("/accounts/signup/", new_person("ben", username=name))
    assert people() == {"olga", "ana"}


@pytest.mark.parametrize("name", ["   ", "\u200b\u3164", "x" * 61])
def test_a_display_name_that_cannot_be_shown_is_refused(name: str, client: Client, olga: Any) -> None:
    let_in("open")
    client.post("/accounts/signup/", new_person("ben", first_name=name))
    assert people() == {"olga"}


def test_a_display_name_keeps_nothing_that_turns_or_covers_what_stands_around_it(client: Client, olga: Any) -> None:
    let_in("open")
    client.post("/accounts/signup/", new_person("ben", first_name="a\u202eb\u0336\u0336\u0336\u0336\u0336"))
    assert get_user_model()._default_manager.get(username="ben").first_name == "ab\u0336\u0336\u0336\u0336"


@pytest.mark.parametrize("name", ["admin", "Admin", "ＡＤＭＩＮ", "everyone", "support", "all"])
def test_names_that_speak_for_the_site_or_for_everybody_are_not_given_away(
    client: Client, olga: Any, ana: Any, sign_in: Any, name: str
) -> None:
    let_in("open")
    answer = client.post("/accounts/signup/", new_person(name))
    assert "This name is reserved" in shown(answer)
    browser = sign_in(ana)
    browser.post("/settings/", {"first_name": "Ana", "username": name})
    assert people() == {"olga", "ana"}


def test_the_mail_that_confirms_an_address_holds_nothing_that_its_sender_wrote(
    client: Client, olga: Any, mailoutbox: Any
) -> None:
    let_in("open")
    client.post("/accounts/signup/", new_person("win-at-casino", first_name="Cheap watches at spam.example"))
    (mail,) = mailoutbox
    assert mail.to == ["win-at-casino@example.com"]
    text = mail.subject + mail.body.replace("win-at-casino@example.com", "")
    assert "casino" not in text and "watches" not in text


def test_if_addresses_must_be_confirmed_a_new_account_waits_for_it(client: Client, olga: Any, settings: Any) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    let_in("open")
    answer = client.post("/accounts/signup/", new_person("ben"), follow=True)
    assert "We have sent you a link" in shown(answer)
    assert not answer.wsgi_request.user.is_authenticated
    assert mail.outbox[0].subject == "[The Harbour] Confirm your e-mail address"
    assert mail.outbox[0].from_email == "The Harbour <hearth@localhost>"
    assert "for an account on The Harbour." in mail.outbox[0].body
    link = next(word for word in mail.outbox[0].body.split() if "/confirm-email/" in word)
    assert "ben@example.com" in shown(client.get(link))
    assert client.post(link, follow=True).wsgi_request.user.username == "ben"


# A mail server that is down ------------------------------------------------------------------------------------------


@pytest.fixture
def mail_is_down(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1


def test_an_account_is_made_even_if_its_mail_cannot_be_sent(client: Client, olga: Any, mail_is_down: None) -> None:
    let_in("open")
    answer = client.post("/accounts/signup/", new_person("ben"), follow=True)
    assert answer.wsgi_request.user.username == "ben"
    assert "could not be sent" in shown(answer)
    assert "was sent" not in shown(answer)


def test_a_person_waiting_for_mail_is_told_that_it_could_not_be_sent(
    client: Client, olga: Any, settings: Any, mail_is_down: None
) -> None:
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    let_in("open")
    EmailAddress.objects.create(user=olga, email=olga.email, verified=True, primary=True)
    pages = []
    for name, email in (("ben", "ben@example.com"), ("cleo", olga.email)):
        answer = client.post("/accounts/signup/", new_person(name, email=email), follow=True)
        again = client.get(answer.redirect_chain[-1][0])
        assert "The mail could not be sent" in shown(again)
        assert "We have sent" not in shown(answer) + shown(again)
        pages.append((answer.redirect_chain, shown(answer).replace(email, "")))
    assert people() == {"olga", "ben"}
    assert pages[0] == pages[1], "nothing tells that the second address has an account"


def test_a_forgotten_password_does_not_pretend_that_mail_was_sent(olga: Any, mail_is_down: None) -> None:
    pages = []
    for email in (olga.email, "nobody@example.com"):
        answer = Client().post("/accounts/password/reset/", {"email": email}, follow=True)
        assert "could not be sent" in shown(answer)
        assert "on its way" not in shown(answer)
        pages.append((answer.status_code, TOKEN.sub("", shown(answer)).replace(email, "")))
    assert pages[0] == pages[1], "nothing tells which address has an account"
