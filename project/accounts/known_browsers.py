"""Browsers in which a person has signed in before. What strangers guess elsewhere does not hold them back.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

from typing import Any

from allauth.account.internal.userkit import filter_users_by_email, get_user_by_username
from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = "__Host-known" if settings.HTTPS else "known"
SALT = "project.accounts.known_browsers"
LASTS_S = 365 * 24 * 3600
PEOPLE_AT_MOST = 5
"""People whom one browser remembers; the one who signed in last is kept longest."""


def remember(request: HttpRequest, response: HttpResponse, user: Any) -> None:
    """Put into a signed cookie that ``user`` has signed in with this browser."""
    people = [str(user.pk), *(each for each in _people(request) if each != str(user.pk))][:PEOPLE_AT_MOST]
    response.set_cookie(
        COOKIE,
        signing.dumps(people, salt=SALT),
        max_age=LASTS_S,
        httponly=True,
        samesite="Lax",
        secure=settings.HTTPS,
    )


def is_known(request: HttpRequest, name: str) -> bool:
    """Whether the person with this user name or e-mail address is signed in with this browser, or has been before."""
    people = _people(request)
    if request.user.is_authenticated:
        people.append(str(request.user.pk))
    meant = [get_user_by_username(name), *filter_users_by_email(name)] if people else []
    return any(each is not None and str(each.pk) in people for each in meant)


def _people(request: HttpRequest) -> list[str]:
    try:
        people = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS_S)
    except signing.BadSignature:
        return []
    return list(map(str, people))
