"""Staff whom a superuser lets manage accounts cannot use this to get more rights."""

from typing import Any
from unittest.mock import patch

import pytest
from allauth.account.models import EmailAddress
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client

from project.accounts import invitations
from project.accounts.errors import InvitingForbidden
from project.accounts.models import Invitation, SiteSettings
from tests.admin.pages import fields_in, said, submit
from tests.project.conftest import PASSWORD, new_person, people

ANOTHER = "summer-harbour-58"


@pytest.fixture
def clerk(db: None, olga: Any) -> Any:
    """A staff member with every permission on accounts and addresses."""
    user = get_user_model()._default_manager.create_user("clerk", "clerk@example.com", PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__model__in=("user", "emailaddress")))
    return user


@pytest.fixture
def clerks(clerk: Any, sign_in: Any) -> Client:
    browser: Client = sign_in(clerk)
    return browser


def change(person: Any) -> str:
    return f"/admin/auth/user/{person.pk}/change/"


def test_staff_cannot_give_rights_that_they_lack(clerks: Client, clerk: Any, ana: Any) -> None:
    answer = submit(clerks, change(ana), first_name="Anna", is_superuser="on", is_staff="on")
    assert answer.status_code == 302, "an account without rights is theirs to change"
    clerks.post(change(clerk), {"username": "clerk", "is_superuser": "on", "is_staff": "on", "is_active": "on"})
    for person in (ana, clerk):
        person.refresh_from_db()
        assert not person.is_superuser
    assert (ana.first_name, ana.is_staff) == ("Anna", False)


def test_staff_cannot_change_an_account_with_more_rights(clerks: Client, olga: Any) -> None:
    get_user_model()._default_manager.create_superuser("otto", "otto@example.com", PASSWORD)
    new = {"password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}
    clerks.post(f"/admin/auth/user/{olga.pk}/password/", new)
    clerks.post(change(olga), {"username": "olga", "email": "clerk@example.com", "is_active": ""})
    clerks.post(f"/admin/auth/user/{olga.pk}/delete/", {"post": "yes"})
    for action in ("deactivate", "delete_selected"):
        clerks.post("/admin/auth/user/", {"action": action, "_selected_action": [olga.pk], "post": "yes"})
    olga.refresh_from_db()
    assert olga.check_password(PASSWORD)
    assert (olga.email, olga.is_active) == ("olga@example.com", True)


def test_staff_cannot_change_addresses_that_password_links_are_sent_to(clerks: Client, clerk: Any, olga: Any) -> None:
    hers = EmailAddress.objects.create(user=olga, email="old@example.com")
    clerks.post("/admin/account/emailaddress/add/", {"user": olga.pk, "email": "x@example.com", "verified": "on"})
    clerks.post("/admin/account/emailaddress/", {"action": "make_verified", "_selected_action": [hers.pk]})
    assert list(EmailAddress.objects.filter(user=olga).values_list("email", "verified")) == [("old@example.com", False)]
    assert clerks.get("/admin/account/emailaddress/").status_code == 200


def test_the_last_owner_cannot_give_up_their_rights(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    for right in ("is_superuser", "is_active"):
        fields = fields_in(browser.get(change(olga)).content.decode())
        fields.pop(right)
        assert "You are the only one" in browser.post(change(olga), fields).content.decode()
    get_user_model()._default_manager.create_superuser("otto", "otto@example.com", PASSWORD)
    fields = fields_in(browser.get(change(olga)).content.decode())
    fields.pop("is_superuser")
    assert browser.post(change(olga), fields).status_code == 302


def test_an_invalid_value_is_an_error_at_its_field(olga: Any, sign_in: Any) -> None:
    browser, used = sign_in(olga), Invitation.objects.create(created_by=olga, max_uses=5, uses=3)
    assert submit(browser, f"/admin/accounts/invitation/{used.pk}/change/", max_uses="2").status_code == 200
    assert submit(browser, f"/admin/accounts/invitation/{used.pk}/change/", max_uses="3").status_code == 302
    for rooms in ("5", '"abc"', '{"a": 1}', "[[1]]", "true"):
        answer = submit(browser, "/admin/accounts/sitesettings/1/change/", first_rooms=rooms, sign_up="open")
        assert answer.status_code == 200, rooms
    submit(browser, "/admin/accounts/sitesettings/1/change/", first_rooms="[12]", sign_up="open")
    assert SiteSettings.objects.get().first_rooms == [12]
    assert Client().post("/accounts/signup/", new_person()).status_code == 302, "a room that is gone turns nobody away"


def test_guessing_the_password_on_the_page_that_deletes_the_account_is_limited(
    olga: Any, ana: Any, sign_in: Any
) -> None:
    browser = sign_in(ana)
    for _ in range(10):
        browser.post("/settings/delete/", {"password": "wrong"})
    answer = browser.post("/settings/delete/", {"password": PASSWORD})
    assert "Too many failed attempts" in answer.content.decode()
    assert people() == {"olga", "ana"}


# Groups --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def helpers(clerk: Any) -> Group:
    """The clerk's own group, which may view rooms. The clerk may add, change and delete groups, too."""
    clerk.user_permissions.add(*Permission.objects.filter(content_type__model__in=("group", "permission")))
    group = Group.objects.create(name="helpers")
    group.permissions.add(Permission.objects.get(codename="view_room"))
    clerk.groups.add(group)
    return group


def rights_of(group: Group) -> set[str]:
    return set(group.permissions.values_list("codename", flat=True))


def all_rights() -> list[int]:
    return list(Permission.objects.values_list("pk", flat=True))


def test_staff_cannot_give_a_group_rights_that_they_lack(clerks: Client, clerk: Any, helpers: Group) -> None:
    path = f"/admin/auth/group/{helpers.pk}/change/"
    assert clerks.get(path).status_code == 200, "they may see what the group may do"
    assert clerks.post(path, {"name": "helpers", "permissions": all_rights()}).status_code == 403
    assert rights_of(helpers) == {"view_room"}
    answer = clerks.post("/admin/auth/group/add/", {"name": "walkers", "permissions": all_rights()})
    assert answer.status_code == 302, "a group without rights is theirs to make"
    made = Group.objects.get(name="walkers")
    assert rights_of(made) == set()
    path = f"/admin/auth/group/{made.pk}/change/"
    assert clerks.post(path, {"name": "hikers", "permissions": all_rights()}).status_code == 302
    made.refresh_from_db()
    assert (made.name, rights_of(made)) == ("hikers", set())
    clerks.post(change(clerk), {"username": "clerk", "groups": [made.pk], "user_permissions": all_rights()})
    assert list(clerk.groups.all()) == [helpers]


def test_staff_cannot_delete_a_group_with_rights(clerks: Client, helpers: Group) -> None:
    empty = Group.objects.create(name="empty")
    clerks.post(f"/admin/auth/group/{helpers.pk}/delete/", {"post": "yes"})
    for chosen in ([helpers.pk], [helpers.pk, empty.pk]):
        clerks.post("/admin/auth/group/", {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert Group.objects.count() == 2
    clerks.post(f"/admin/auth/group/{empty.pk}/delete/", {"post": "yes"})
    assert list(Group.objects.all()) == [helpers]


def test_an_owner_can_set_the_permissions_of_a_group(olga: Any, helpers: Group, sign_in: Any) -> None:
    path = f"/admin/auth/group/{helpers.pk}/change/"
    assert sign_in(olga).post(path, {"name": "helpers", "permissions": all_rights()}).status_code == 302
    assert len(rights_of(helpers)) == Permission.objects.count()


@pytest.mark.parametrize("by", ["group", "permission"])
def test_staff_cannot_change_an_account_with_permissions_that_have_no_effect_yet(
    clerks: Client, ana: Any, helpers: Group, by: str
) -> None:
    """Staff who had set the password could use the permissions once a superuser sets ``is_staff`` on the account."""
    if by == "group":
        ana.groups.add(helpers, Group.objects.create(name="empty"))
    else:
        ana.user_permissions.add(Permission.objects.get(codename="view_room"))
    new = {"password1": ANOTHER, "password2": ANOTHER, "usable_password": "true"}
    assert clerks.post(f"/admin/auth/user/{ana.pk}/password/", new).status_code == 403
    assert clerks.post(change(ana), {"username": "ana", "email": "clerk@example.com"}).status_code == 403
    for action in ("deactivate", "delete_selected"):
        clerks.post("/admin/auth/user/", {"action": action, "_selected_action": [ana.pk], "post": "yes"})
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)
    assert (ana.email, ana.is_active) == ("ana@example.com", True)


def test_staff_can_change_an_account_in_a_group_without_permissions(clerks: Client, ana: Any) -> None:
    ana.groups.add(Group.objects.create(name="empty"))
    assert submit(clerks, change(ana), first_name="Anna").status_code == 302
    clerks.post("/admin/auth/user/", {"action": "deactivate", "_selected_action": [ana.pk]})
    ana.refresh_from_db()
    assert (ana.first_name, ana.is_active) == ("Anna", False)


# Invitations ---------------------------------------------------------------------------------------------------------

LINKS = "/admin/accounts/invitation/"


@pytest.fixture
def host(db: None, olga: Any) -> Any:
    """A staff member with every permission on invitations."""
    SiteSettings.objects.filter(pk=1).update(members_invite=True)
    user = get_user_model()._default_manager.create_user("host", "host@example.com", PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__model="invitation"))
    return user


def test_staff_can_change_their_own_invitations_and_only_view_others(olga: Any, host: Any, sign_in: Any) -> None:
    browser = sign_in(host)
    the_owners, mine, another = (invitations.create(by=who, note=who.username) for who in (olga, host, host))
    chosen = [the_owners.pk, mine.pk]
    answer = browser.post(LINKS, {"action": "revoke", "_selected_action": chosen})
    assert said(answer) == [
        "olga: only its maker and the owners of the site can revoke it.",
        "1 invitation is revoked.",
    ]
    assert browser.get(f"{LINKS}{the_owners.pk}/change/").status_code == 200
    assert browser.post(f"{LINKS}{the_owners.pk}/change/", {"note": "x", "max_uses": "1"}).status_code == 403
    assert browser.post(f"{LINKS}{the_owners.pk}/delete/", {"post": "yes"}).status_code == 403
    browser.post(LINKS, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})
    assert submit(browser, f"{LINKS}{another.pk}/change/", note="for  Ben").status_code == 302
    browser.post(LINKS, {"action": "delete_selected", "_selected_action": [mine.pk], "post": "yes"})
    left = Invitation.objects.order_by("pk").values_list("note", "max_uses", "revoked_at")
    assert list(left) == [("olga", None, None), ("for Ben", None, None)]


def test_saving_an_invitation_in_the_admin_does_not_overwrite_its_uses(olga: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    assert submit(browser, f"{LINKS}add/", note=" Two  words ", max_uses="5").status_code == 302
    made = Invitation.objects.get()
    assert (made.note, made.max_uses, made.created_by) == ("Two words", 5, olga)
    real = invitations.amend

    def late(**given: Any) -> None:
        Invitation.objects.update(uses=3)  # somebody has used it after the form read the row
        real(**given)

    with patch.object(invitations, "amend", late):
        assert submit(browser, f"{LINKS}{made.pk}/change/", max_uses="4").status_code == 302
    made.refresh_from_db()
    assert (made.uses, made.max_uses) == (3, 4)


def test_a_person_who_has_just_lost_the_right_to_invite_is_told(olga: Any, host: Any, sign_in: Any) -> None:
    browser = sign_in(host)
    with patch.object(invitations, "create", side_effect=InvitingForbidden):
        answer = browser.post("/settings/invitations/", {"note": "", "days": "7"}, follow=True)
    assert answer.status_code == 200
    assert "You can&#x27;t make invitations" in answer.content.decode()


# Owners --------------------------------------------------------------------------------------------------------------


def test_an_owner_can_make_another_owner_and_then_leave(olga: Any, ana: Any, sign_in: Any) -> None:
    browser = sign_in(olga)
    off = get_user_model()._default_manager.create_user("off", is_active=False)
    assert "Make owner" in browser.post("/settings/delete/", {"password": PASSWORD}).content.decode()
    make = {"action": "make_owner", "_selected_action": [ana.pk, olga.pk, off.pk]}
    assert said(browser.post("/admin/auth/user/", make)) == ["1 account is an owner's now."]
    ana.refresh_from_db()
    assert (ana.is_staff, ana.is_superuser) == (True, True)
    assert [(each.object_id, each.user_id) for each in LogEntry.objects.all()] == [(str(ana.pk), olga.pk)]
    assert LogEntry.objects.get().get_change_message() == "Changed staff status and superuser status."
    browser.post("/settings/delete/", {"password": PASSWORD})
    assert people() == {"ana", "off"}


def test_only_an_owner_can_make_owners(clerks: Client, clerk: Any, ana: Any) -> None:
    assert "make_owner" not in clerks.get("/admin/auth/user/").content.decode()
    clerks.post("/admin/auth/user/", {"action": "make_owner", "_selected_action": [ana.pk, clerk.pk]})
    assert set(get_user_model()._default_manager.filter(is_superuser=True).values_list("username", flat=True)) == {
        "olga"
    }
