"""The admin's lists of the site's own tables are bounded too, however many people there are."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from chat.admin import lists
from project.accounts.models import Invitation, SiteSettings

FEW = {Group, SiteSettings}
"""Tables with only a few rows."""


def test_every_list_that_can_grow_is_bounded() -> None:
    growing = {model: each for model, each in admin.site._registry.items() if model not in FEW}
    assert len(growing) > 6, "the premise"
    assert all(isinstance(each, lists.BoundedListAdmin) for each in growing.values())


@pytest.mark.parametrize("path", ["auth/user", "accounts/invitation", "account/emailaddress"])
def test_a_page_past_the_end_is_the_last_one_and_says_that_there_are_more(
    olga: Any, sign_in: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        person = get_user_model().objects.create_user(f"person{number}")
        EmailAddress.objects.create(user=person, email=f"person{number}@example.com")
        Invitation.objects.create(created_by=olga)
    monkeypatch.setattr(lists, "LISTED_AT_MOST", 4)
    monkeypatch.setattr(lists.BoundedListAdmin, "list_per_page", 2)
    page = sign_in(olga).get(f"/admin/{path}/?p=99999")
    assert page.status_code == 200
    assert (page.context["cl"].page_num, len(page.context["cl"].result_list)) == (2, 2)
    assert "The list ends after 4 entries" in page.content.decode()
