"""The reader's time zone: pages are printed in the one that their scripts draw in, so that no day line and no time
moves when the scripts take over, and they are right without scripts, too.

A browser says nothing of its zone in a request. The scripts put its name into a cookie where the page was printed in
another one; the next page is right.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.urls import get_script_prefix
from django.utils import timezone

COOKIE = "chat_time_zone"
AGE_S = 365 * 24 * 60 * 60
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,31}){0,2}", re.ASCII)
"""What a zone's name can look like. It is looked up in a folder: nothing that leads out of it, and nothing long."""


def zone_of(request: HttpRequest) -> ZoneInfo | None:
    """The zone that the reader's browser has told; None: it has told none, or none that is known here."""
    name = request.COOKIES.get(COOKIE, "")
    if not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: "Europe" is a folder
        return None


def readers_zone(request: HttpRequest) -> AbstractContextManager[Any]:
    """Within it, times are the reader's; where their browser has told no zone, those of the zone that is in force."""
    zone = zone_of(request)
    return timezone.override(zone) if zone else nullcontext()


def in_readers_zone(view: Callable[..., Any]) -> Callable[..., Any]:
    """The view, with all that it prints in the reader's zone. A site can have it among its middleware."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with readers_zone(request):
            return view(request, *args, **kwargs)

    return wrapped


def script_zone(request: HttpRequest) -> dict[str, str]:
    """For the scripts: which zone the page is printed in, and how to tell another one.

    The cookie counts for the whole site, since any page of it may have a room on it.
    """
    with readers_zone(request):
        printed = str(timezone.get_current_timezone())
    secure = "; Secure" if request.is_secure() else ""
    attributes = f"Path={get_script_prefix()}; Max-Age={AGE_S}; SameSite=Lax{secure}"
    return {"printed": printed, "cookie": COOKIE, "attributes": attributes}
