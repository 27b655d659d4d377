"""Two people act at the same moment, in threads with their own connections. The tests run on PostgreSQL too."""

import threading
from collections import Counter
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.admin import site
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.test import Client

from project.accounts import invitations, setup_code, signup
from project.accounts.admin import UserAdmin
from project.accounts.errors import LastOwner
from project.accounts.forms import ProfileForm, SignupForm
from project.accounts.models import SiteSettings
from tests.project.conftest import LOCAL, PASSWORD, new_person, people

pytestmark = pytest.mark.django_db(transaction=True)
OVERLAP_S = 0.7


def at_once(*acts: Any) -> list[Any]:
    """Start all acts together, and return their results in order."""
    start, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place: int, act: Any) -> None:
        start.wait()
        try:
            results[place] = act()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def overlapping(function: Any) -> Any:
    """Wrap ``function`` so that two callers wait for each other before it. Both have then passed every earlier check,
    unless a lock keeps one of them out."""
    both = threading.Barrier(2)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=OVERLAP_S)
        return function(*args, **kwargs)

    return wrapped


def test_two_first_sign_ups_make_one_owner() -> None:
    browsers = {name: Client(**LOCAL) for name in ("ana", "ben")}
    for each in browsers.values():
        each.get(setup_code.link())
    with patch.object(SignupForm, "save", overlapping(SignupForm.save)):
        answers = at_once(*(lambda name=name: browsers[name].post("/setup/", new_person(name)) for name in browsers))
    assert Counter(each.status_code for each in answers) == {302: 1, 409: 1}
    assert [each.is_superuser for each in get_user_model()._default_manager.all()] == [True]
    loser = next(each for each in answers if each.status_code == 409)
    assert "Somebody was quicker" in loser.content.decode()


def test_the_last_use_of_an_invitation_lets_only_one_person_in() -> None:
    olga = get_user_model()._default_manager.create_superuser("olga", "", PASSWORD)
    SiteSettings.objects.update_or_create(pk=1, defaults={"stage": "done"})
    code = invitations.create(by=olga, max_uses=1).code

    def come(name: str) -> Any:
        browser = Client()
        browser.post(f"/invite/{code}/")
        return browser.post("/accounts/signup/", new_person(name))

    with patch.object(SignupForm, "save", overlapping(SignupForm.save)):
        answers = at_once(lambda: come("ana"), lambda: come("ben"))
    assert Counter(each.status_code for each in answers) == {302: 1, 200: 1}
    assert len(people()) == 2
    refused = next(each for each in answers if each.status_code == 200)
    assert "not valid" in refused.content.decode() or "Sign-up is closed" in refused.content.decode()


def test_two_owners_who_leave_at_once_do_not_leave_the_site_without_an_owner() -> None:
    manager = get_user_model()._default_manager
    owners = [manager.create_superuser(name, "", PASSWORD) for name in ("olga", "omar")]
    manager.create_user("ana")

    def go(owner: Any) -> str:
        try:
            signup.delete_account(owner)
        except LastOwner:
            return "stays"
        return "goes"

    assert sorted(at_once(*(lambda owner=owner: go(owner) for owner in owners))) == ["goes", "stays"]
    assert len(people()) == 2


def test_two_people_cannot_take_one_name_in_different_case_at_once(settings: Any) -> None:
    """Signing in ignores case: if both names existed, neither account would be found."""
    manager = get_user_model()._default_manager
    ben = manager.create_user("ben", "", PASSWORD)
    SiteSettings.objects.update_or_create(pk=1, defaults={"stage": "done", "sign_up": "open"})
    browser = Client()
    browser.force_login(ben)
    renamed = {"first_name": "Ben", "username": "CLEO"}
    with (
        patch.object(SignupForm, "save", overlapping(SignupForm.save)),
        patch.object(ProfileForm, "save", overlapping(ProfileForm.save)),
    ):
        answers = at_once(
            lambda: Client().post("/accounts/signup/", new_person("cleo")), lambda: browser.post("/settings/", renamed)
        )
    assert Counter(each.status_code for each in answers) == {302: 1, 200: 1}
    assert [each.lower() for each in people()].count("cleo") == 1


def test_two_owners_who_deactivate_each_other_at_once_do_not_both_succeed() -> None:
    manager = get_user_model()._default_manager
    owners = [manager.create_superuser(name, f"{name}@example.com", PASSWORD) for name in ("olga", "omar")]

    def switch_off(by: Any, whom: Any) -> Any:
        browser = Client()
        browser.force_login(by)
        chosen = {"action": "deactivate", "_selected_action": whom.pk}
        return browser.post("/admin/auth/user/", chosen).status_code

    with patch.object(UserAdmin, "_switch", overlapping(UserAdmin._switch)):
        answers = at_once(lambda: switch_off(*owners), lambda: switch_off(*reversed(owners)))
    assert sorted(answers) == [302, 403]
    assert manager.filter(is_active=True).count() == 1


def test_an_owner_who_has_just_lost_their_rights_cannot_deactivate_anybody() -> None:
    manager = get_user_model()._default_manager
    olga, omar = (manager.create_superuser(name, f"{name}@example.com", PASSWORD) for name in ("olga", "omar"))
    manager.filter(pk=olga.pk).update(is_superuser=False)  # after her request had begun
    with pytest.raises(PermissionDenied):
        UserAdmin(get_user_model(), site)._switch(manager.filter(pk=omar.pk), active=False, by=olga)
    assert manager.get(pk=omar.pk).is_active
