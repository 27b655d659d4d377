"""Browsers in which a person has signed in before. What strangers guess elsewhere does not hold them back.

Each has a limit of its own, in place of those for an address and for a name: whoever steals its cookie has no more
guesses than anybody else, and a stranger behind the same address takes none of them.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import time
from secrets import token_hex
from typing import Any, NamedTuple

from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE = "__Host-known" if settings.HTTPS else "known"
SALT = "project.accounts.known_browsers"
LASTS_S = 365 * 24 * 3600
PEOPLE_AT_MOST = 5
"""People whom one browser remembers; the one who signed in last is kept longest."""


class Visit(NamedTuple):
    """One person's last sign-in with a browser."""

    user_id: str
    key: str
    """What their attempts with this browser are counted by."""
    at: float
    password: str
    """A digest of their password's hash: a new password ends the visit."""


def remember(request: HttpRequest, response: HttpResponse, user: Any) -> None:
    """Put into a signed cookie that ``user`` has signed in with this browser."""
    visit = Visit(str(user.pk), token_hex(8), time.time(), _digest(user))
    visits = [visit, *(each for each in _visits(request) if each.user_id != visit.user_id)]
    response.set_cookie(
        COOKIE,
        signing.dumps(visits[:PEOPLE_AT_MOST], salt=SALT),
        max_age=LASTS_S,
        httponly=True,
        samesite="Lax",
        secure=settings.HTTPS,
    )


def key_of(request: HttpRequest, name: str) -> str:
    """What attempts to sign in with this user name or e-mail address, in this browser, are counted by.

    Returns:
        "" unless everybody who may be meant is signed in in this browser, or has signed in there before.
    """
    visits = {each.user_id: each for each in _visits(request)}
    if not visits and not request.user.is_authenticated:
        return ""
    keys = []
    for each in _people_called(name):
        visit = visits.get(str(each.pk))
        if visit is not None and visit.password == _digest(each):
            keys.append(visit.key)
        elif request.user.is_authenticated and request.user.pk == each.pk:
            keys.append(str(request.session.session_key))
        else:
            return ""
    return " ".join(keys)


def _people_called(name: str) -> list[Any]:
    by_name = get_user_by_username(name)
    by_email = filter_users_by_email(name, prefer_verified=True, for_login=True)
    return list({each.pk: each for each in (by_name, *by_email) if each is not None}.values())


def _visits(request: HttpRequest) -> list[Visit]:
    try:
        visits = [Visit(*each) for each in signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT)]
    except (signing.BadSignature, TypeError):
        return []
    return [each for each in visits if time.time() - each.at < LASTS_S]


def _digest(user: Any) -> str:
    return salted_hmac(SALT, user.password, algorithm="sha256").hexdigest()[:16]
