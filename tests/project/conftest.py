"""A site with an owner, ``olga``, and helpers for what people do in their browsers."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from project.accounts.models import SiteSettings

PASSWORD = "winter-harbour-57"
LOCAL = {"headers": {"host": "localhost:8000"}}
"""Options of a ``Client`` that is a browser on the site's own machine."""


@pytest.fixture
def olga(db: None) -> Any:
    """The owner of a site that is set up, where people sign up by invitation."""
    SiteSettings.objects.update_or_create(pk=1, defaults={"stage": "done", "name": "The Harbour"})
    return get_user_model()._default_manager.create_superuser(
        "olga", "olga@example.com", PASSWORD, first_name="Olga Reed"
    )


@pytest.fixture
def ana(db: None) -> Any:
    return get_user_model()._default_manager.create_user("ana", "ana@example.com", PASSWORD, first_name="Ana Vale")


@pytest.fixture
def sign_in() -> Callable[..., Client]:
    """``sign_in(ana)`` returns a browser in which she has signed in with her password."""

    def one(person: Any, **options: Any) -> Client:
        client = Client(**options)
        answer = client.post("/accounts/login/", {"login": person.username, "password": PASSWORD})
        assert answer.status_code == 302, answer.content.decode()
        return client

    return one


def new_person(name: str = "ben", **changed: str) -> dict[str, str]:
    """Return the fields of a sign-up form, filled in."""
    return {
        "first_name": f"{name.title()} Moss",
        "username": name,
        "email": f"{name}@example.com",
        "password1": PASSWORD,
        **changed,
    }


def people() -> set[str]:
    return set(get_user_model()._default_manager.values_list("username", flat=True))
