"""No two people have user names that a reader would take for one another."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

from project.accounts import skeletons
from project.accounts.models import NameSkeleton, SiteSettings
from tests.project.conftest import new_person, people

pytestmark = pytest.mark.django_db
USER_FORM = {"usable_password": "true", "password1": "quiet-lantern-41", "password2": "quiet-lantern-41"}
ALIKE = [
    ("änne", "Änne"),
    ("ida", "İda"),
    ("ida", "ıda"),
    ("Ida", "lda"),
    ("Erna", "Ema"),
    ("ope", "ОРЕ"),  # Cyrillic
    ("cop", "сор"),  # Cyrillic
    ("ope", "ΟΡΕ"),  # Greek
    ("ana", "ꓮꓠꓮ"),  # Lisu
    ("ana", "ɑna"),
    ("paypal", "paypaI"),
    ("zoe", "ｚｏｅ"),
    ("user10", "userlO"),
    ("josé", "jose\u0301"),
    ("γιώργος", "ΓΙΏΡΓΟΣ"),
]
UNLIKE = [
    ("weiß", "weiss"),
    ("jose", "josé"),
    ("bill", "bjll"),
    ("田中", "田中2"),
    ("ida", "lda"),
    ("иван", "ivan"),
    ("Ian", "Lan"),
    ("ian", "lan"),
]


@pytest.fixture(autouse=True)
def fast_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def visitor(olga: Any) -> Client:
    """Somebody in front of an open site."""
    SiteSettings.objects.update(sign_up="open")
    return Client()


def somebody(name: str) -> Any:
    return get_user_model()._default_manager.create_user(name)


@pytest.mark.parametrize(("one", "other"), [*ALIKE, *((other, one) for one, other in ALIKE)])
def test_a_name_that_looks_like_anothers_is_taken(one: str, other: str, visitor: Client, sign_in: Any) -> None:
    first = somebody(one)
    stored = first.username
    answer = visitor.post("/accounts/signup/", new_person("ben", username=other))
    assert "Somebody else has this user name" in answer.content.decode()
    visitor.post("/accounts/signup/", new_person("ben"))
    answer = visitor.post("/settings/", {"first_name": "Ben", "username": other})
    assert "Somebody else has this user name" in answer.content.decode()
    assert people() == {"olga", "ben", stored}


@pytest.mark.parametrize(("one", "other"), UNLIKE)
def test_a_name_that_only_resembles_anothers_is_free(one: str, other: str, visitor: Client) -> None:
    somebody(one)
    visitor.post("/accounts/signup/", new_person("ben", username=other))
    assert people() == {"olga", one, other}


def test_a_person_may_spell_their_own_name_in_another_way_and_gives_the_old_one_free(
    olga: Any, ana: Any, sign_in: Any
) -> None:
    browser = sign_in(ana)
    for name in ("Ana", "ɑna", "zoe"):
        browser.post("/settings/", {"first_name": "Ana", "username": name})
        ana.refresh_from_db()
        assert ana.username == name
    assert not skeletons.is_taken("ana") and skeletons.is_taken("Zoe")


def test_names_that_were_alike_before_the_rule_stay(olga: Any, ana: Any, sign_in: Any) -> None:
    twin = somebody("ɑna")
    browser = sign_in(ana)
    answer = browser.post("/settings/", {"first_name": "Ana V.", "username": "ana"}, follow=True)
    assert "Your profile is saved" in answer.content.decode()
    admin = sign_in(olga)
    page = admin.get(f"/admin/auth/user/{twin.pk}/change/").context["adminform"].form
    fields = {name: page.initial.get(name) or "" for name in ("first_name", "last_name", "email")}
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    admin.post(f"/admin/auth/user/{twin.pk}/change/", {**fields, **joined, "username": "ɑna", "last_name": "Vale"})
    twin.refresh_from_db()
    assert twin.last_name == "Vale"


def test_the_admin_does_not_give_a_name_that_looks_like_anothers(olga: Any, ana: Any, sign_in: Any) -> None:
    admin = sign_in(olga)
    answer = admin.post("/admin/auth/user/add/", {"username": "аna", **USER_FORM})
    assert "Somebody else has this user name" in answer.content.decode()
    ben = somebody("ben")
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    answer = admin.post(f"/admin/auth/user/{ben.pk}/change/", {"username": "аna", **joined})
    assert "Somebody else has this user name" in answer.content.decode()
    assert people() == {"olga", "ana", "ben"}
    admin.post("/admin/auth/user/add/", {"username": "cleo", **USER_FORM})
    assert skeletons.is_taken("Cleo")


def test_accounts_that_are_older_than_the_rule_have_their_names_after_the_next_migration(olga: Any, ana: Any) -> None:
    NameSkeleton.objects.all().delete()
    assert not skeletons.is_taken("ana")
    call_command("migrate", verbosity=0)
    assert skeletons.is_taken("Ana") and skeletons.is_taken("olga")


def test_a_deleted_account_gives_its_name_free(olga: Any, ana: Any) -> None:
    ana.delete()
    assert not skeletons.is_taken("ana")
