"""The context processor for all templates of the site."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from chat.web.page_config import site_context
from chat.web.person_rows import person
from project.accounts import invitations, signup
from project.accounts import site as site_settings
from project.accounts.adapter import INVITATION_KEY, mail_is_set_up
from project.accounts.models import SiteSettings

FRAME = ("rooms", "sidebar", "config")
"""The keys of ``site_context``."""


def site(request: HttpRequest) -> dict[str, Any]:
    """Return facts about the site and the person, and the values that the chat's frame needs on our pages.

    Everything is looked up when a template uses it. The chat's own views provide the frame's part themselves.
    """
    settings = cache(site_settings.current)
    values: dict[str, Any] = {"site_name": SimpleLazyObject(lambda: settings().name or site_settings.DEFAULT_NAME)}
    user = getattr(request, "user", None)
    values["may_invite"] = SimpleLazyObject(lambda: user is not None and invitations.may_invite(user, settings()))
    values["mail_is_set_up"] = mail_is_set_up()
    values["sign_up_is_open"] = SimpleLazyObject(
        lambda: signup.is_open(request.session.get(INVITATION_KEY, "") if hasattr(request, "session") else "")
    )
    values["sign_up_by_invitation"] = SimpleLazyObject(lambda: settings().sign_up == SiteSettings.SignUp.INVITATION)
    frame = cache(lambda: site_context(request))
    # The person's avatar and name.
    values["me"] = lambda: person(user)
    return values | {name: _call(frame, name) for name in FRAME}


def _call(frame: Callable[[], dict[str, Any]], name: str) -> Callable[[], Any]:
    # A callable, because templates call it; a lazy object could not be serialized as JSON.
    return lambda: frame()[name]
