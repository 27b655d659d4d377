from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from tests.cast import ana, ana_and_ben, ben, cleo, eve, lobby, make_person, staff  # noqa: F401


@pytest.fixture(autouse=True)
def a_plain_host(settings: Any) -> None:
    """Take away the site's own URLs, middleware and templates: the chat's admin must not depend on them."""
    settings.ROOT_URLCONF = "tests.admin.urls"
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each.startswith("django.")]
    settings.TEMPLATES = [{**each, "DIRS": []} for each in settings.TEMPLATES]


@pytest.fixture
def olga(make_person: Callable[..., Any]) -> Client:  # noqa: F811
    """A browser in which a superuser is signed in."""
    client = Client()
    client.force_login(make_person("olga", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def clerk(make_person: Callable[..., Any]) -> Callable[..., Client]:  # noqa: F811
    """``clerk("view_message")`` returns the browser of a staff member with only this permission."""

    def make(*codenames: str) -> Client:
        user = make_person(f"clerk of {' and '.join(codenames) or 'nothing'}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return make
