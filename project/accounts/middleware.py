"""Small things done at each request: whose it is, who was last seen when, that a new site leads to its set-up, and that
no cache keeps what is nobody else's business."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.middleware import get_user
from django.contrib.auth.models import AnonymousUser
from django.db import DEFAULT_DB_ALIAS, Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.functional import SimpleLazyObject

from chat.access import identity
from chat.models.best_effort import write_if_possible
from chat.wire.protocol import is_storable
from project.accounts import first_run, site

SEEN_EVERY = timedelta(minutes=5)
"""How fine "last seen" is: allauth's own middleware writes at each request."""

ACCOUNTS = "/accounts/"
"""Where project/accounts/urls.py has the pages for those who are not signed in yet."""

View = Callable[[HttpRequest], HttpResponse]


class SessionCookieMiddleware:
    """Stands before Django's sessions, which look up whatever the cookie says; PostgreSQL fails at U+0000."""

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_storable(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return self.get_response(request)


class ReadOnlyMiddleware:
    """Lets a page be read where the session can't be written.

    Django ends a session whose password was changed when it sees it the next time, and signs one again whose key has
    become one of ``SECRET_KEY_FALLBACKS``. Both write, and every page begins with that.
    """

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.user = SimpleLazyObject(lambda: _person(request))  # type: ignore[assignment]
        return self.get_response(request)


def _person(request: HttpRequest) -> Any:
    key = request.session.session_key
    try:
        return get_user(request)
    except Error:
        request.session = type(request.session)(key)
        who = identity.from_session(key)
        return who.user if who else AnonymousUser()


class LastSeenMiddleware:
    """Notes the session, its device and its address, for the page that lists a person's sessions."""

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and (key := request.session.session_key):
            since = timezone.now() - SEEN_EVERY
            if not UserSession.objects.filter(session_key=key, user=request.user, last_seen_at__gt=since).exists():
                write_if_possible(lambda: UserSession.objects.create_from_request(request), using=DEFAULT_DB_ALIAS)
        return self.get_response(request)


class FirstRunMiddleware:
    """Leads every page to the set-up while nobody has an account, and the owner's first page while it isn't done."""

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return redirect("setup") if self._is_due(request) else self.get_response(request)

    def _is_due(self, request: HttpRequest) -> bool:
        exempt = (reverse("setup"), settings.STATIC_URL, "/favicon.ico")
        if request.path.startswith(exempt):
            return False
        if not request.user.is_authenticated:
            return not site.has_accounts()
        is_home = request.path == reverse(settings.LOGIN_REDIRECT_URL)
        return is_home and request.user.is_superuser and first_run.stage() != first_run.Stage.DONE


class PrivateMiddleware:
    """Keeps what a signed-in person was shown, and every page of accounts, out of every cache: the Back button must not
    bring them to the next one at the same machine. Links from mail are their addresses, and forms hold what was typed.
    """

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_private = request.user.is_authenticated or request.path_info.startswith(ACCOUNTS)
        if is_private and not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response
