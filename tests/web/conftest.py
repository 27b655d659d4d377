from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from tests.cast import ana, ana_and_ben, ben, cleo, eve, lobby, make_person, staff  # noqa: F401


@pytest.fixture
def browser_of() -> Callable[[Any], Client]:
    """``browser_of(ana)``: signed in as she, with every form checked for its token."""

    def sign_in(person: Any) -> Client:
        client = Client()
        client.force_login(person)
        return client

    return sign_in
