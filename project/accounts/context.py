"""What every template of the site may use."""

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

FRAME = ("rooms", "sidebar", "config", "prototypes")
"""What ``site_context`` gives."""


def site(request: HttpRequest) -> dict[str, Any]:
    """``site_name``, whether the person ``may_invite``, and for pages of ours inside the chat's frame what that needs.

    Everything is looked up when a template asks for it; the chat's own views give the frame's part themselves.
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
    # A small picture of the person, beside their name.
    values["me"] = lambda: person(user)
    return values | {name: _call(frame, name) for name in FRAME}


def _call(frame: Callable[[], dict[str, Any]], name: str) -> Callable[[], Any]:
    # Templates call what can be called; a lazy object could not be written as JSON.
    return lambda: frame()[name]
