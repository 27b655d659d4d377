"""The site's middleware: the person of a request, "last seen", the redirect to the set-up, and private responses."""

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
from project.accounts.sessions import is_stored

SEEN_EVERY = timedelta(minutes=5)
"""The resolution of "last seen". allauth's own middleware would write at each request."""

ACCOUNTS = "/accounts/"
"""The prefix of the pages in project/accounts/urls.py for people who are not signed in yet."""

View = Callable[[HttpRequest], HttpResponse]


class SessionCookieMiddleware:
    """Drops a session cookie that can't be looked up: Django queries any value, and PostgreSQL fails at U+0000."""

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_storable(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        return self.get_response(request)


class ReadOnlyMiddleware:
    """Lets pages be read while the session can't be written.

    ``get_user`` flushes a session whose password has changed, and renews one that was signed with one of
    ``SECRET_KEY_FALLBACKS``. Both write, and every page begins with ``get_user``.
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
    """Records the session with its device and address, for the page that lists a person's sessions."""

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and (key := request.session.session_key) and is_stored(key):
            since = timezone.now() - SEEN_EVERY
            if not UserSession.objects.filter(session_key=key, user=request.user, last_seen_at__gt=since).exists():
                write_if_possible(lambda: UserSession.objects.create_from_request(request), using=DEFAULT_DB_ALIAS)
        return self.get_response(request)


class FirstRunMiddleware:
    """Redirects to the set-up: every page while nobody has an account, and an owner's home page until it is done."""

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
    """Keeps pages of signed-in people, and all account pages, out of caches: the next person at the same machine must
    not get them with the Back button. URLs of account pages may be secret links, and their forms hold what was typed.
    """

    def __init__(self, get_response: View):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_private = request.user.is_authenticated or request.path_info.startswith(ACCOUNTS)
        if is_private and not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response
