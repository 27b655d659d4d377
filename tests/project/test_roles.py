"""Who may open which page, and act by which form, as one table (roles.txt): every address of the site, as every role.

A change of the table is a decision about rights. If it is meant, put in what the failing test prints.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from chat.access.policy import SITE
from chat.models import Room
from chat.services import memberships, messages, rooms
from project.accounts import invitations
from tests.project.conftest import PASSWORD

pytestmark = pytest.mark.django_db
TABLE = Path(__file__).with_name("roles.txt")
ROLES = ("visitor", "outsider", "left", "member", "moderator", "owner", "staff", "superuser")
GONE = {"account_logout"}
"""Addresses that end the session."""


def names() -> list[tuple[str, list[str]]]:
    """Every named address outside the admin, with its arguments."""

    def walk(patterns: list[Any], space: str) -> Iterator[tuple[str, list[str]]]:
        for each in patterns:
            if isinstance(each, URLResolver) and each.namespace != "admin":
                yield from walk(each.url_patterns, f"{each.namespace}:" if each.namespace else space)
            elif isinstance(each, URLPattern) and each.name:
                yield space + each.name, list(each.pattern.converters) or list(each.pattern.regex.groupindex)

    return sorted(dict(walk(get_resolver().url_patterns, "")).items())


@pytest.fixture
def people(olga: Any) -> dict[str, Any]:
    make = get_user_model()._default_manager.create_user
    found = {name: make(name, password=PASSWORD) for name in ROLES[1:-1]}
    found["staff"].is_staff = True
    found["staff"].save()
    return {**found, "superuser": olga}


@pytest.fixture
def places(people: dict[str, Any]) -> dict[str, Room]:
    made = {
        "open": rooms.create(by=people["owner"], name="Open"),
        "private": rooms.create(by=people["owner"], name="Private", kind="private"),
    }
    for room in made.values():
        memberships.add(by=SITE, room_id=room.pk, user_id=str(people["moderator"].pk), role="moderator")
        for name in ("member", "left"):
            memberships.add(by=SITE, room_id=room.pk, user_id=str(people[name].pk))
        memberships.leave(by=people["left"], room_id=room.pk)
        messages.post(by=people["owner"], room_id=room.pk, body="first")
    return made


def addresses(places: dict[str, Room], code: str) -> Iterator[tuple[str, str]]:
    """What to call an address in the table, and the address."""
    values = {"code": code, "number": "1", "key": "x", "uidb36": "1"}
    for name, arguments in names():
        if name in GONE:
            continue
        for room, key in [*((kind, str(each.pk)) for kind, each in places.items()), ("missing", "987654321")]:
            given = {each: values.get(each, key) for each in arguments}
            title = f"{name} ({room})" if "room" in given else name
            yield title, reverse(name, kwargs=given)
            if "room" not in given:
                break
    for model in admin.site._registry:
        meta = model._meta
        for page in ("changelist", "add"):
            yield f"admin {meta.label_lower} {page}", reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}")


def test_who_may_open_and_do_what_is_as_decided(people: dict[str, Any], places: dict[str, Room]) -> None:
    code = invitations.create(by=people["superuser"]).code
    lines = [" ".join(each.ljust(to) for each, to in zip(["", *ROLES], [46, *[9] * 8], strict=True)).rstrip()]
    for title, address in addresses(places, code):
        row = []
        for role in ROLES:
            with transaction.atomic():  # what a form has done is undone
                browser = Client(raise_request_exception=False)
                if role != "visitor":
                    browser.force_login(people[role], "allauth.account.auth_backends.AuthenticationBackend")
                row.append("/".join(told(each) for each in (browser.get(address), browser.post(address, {}))))
                transaction.set_rollback(True)
        lines.append(" ".join(each.ljust(to) for each, to in zip([title, *row], [46, *[9] * 8], strict=True)).rstrip())
    table = "\n".join(lines) + "\n"
    assert table == TABLE.read_text(), f"\n{table}"


def told(answer: Any) -> str:
    """The status; "in" for the way to the sign-in."""
    is_way_in = answer.status_code == 302 and "/accounts/login/" in answer.url and "next" in answer.url
    return "in" if is_way_in else str(answer.status_code)
