"""The page that lists where a person is signed in, and ends sessions."""

from collections.abc import Iterator
from typing import Any

from allauth.usersessions.internal.flows import sessions as flows
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import DEFAULT_DB_ALIAS
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from chat.access import identity
from chat.models.best_effort import write_if_possible
from project.accounts.devices import describe


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Show the list. A POST ends one other ``session``, or all others."""
    if request.method == "POST":
        _end(request)
        return redirect("usersessions_list")
    shown = sorted(map(_shown, _live(request.user)), key=_present_first)
    return render(request, "usersessions/usersession_list.html", {"sessions": shown})


def _live(user: Any) -> Iterator[Any]:
    """The person's live sessions. The rows of those that have ended elsewhere are deleted."""
    for session in UserSession.objects.filter(user=user):
        if identity.from_session(session.session_key):
            yield session
        else:
            write_if_possible(session.delete, using=DEFAULT_DB_ALIAS)


def _end(request: HttpRequest) -> None:
    others = UserSession.objects.filter(user=request.user).exclude(session_key=request.session.session_key)
    key = request.POST.get("session", "")
    if key:
        others = others.filter(pk=key) if key.isdecimal() and len(key) < 19 else others.none()
    ending = list(others.select_related("user"))
    flows.end_sessions(request, ending)
    if ending:
        messages.success(request, _("That session has ended.") if key else _("All other sessions have ended."))


def _shown(session: Any) -> dict[str, Any]:
    return {
        "pk": session.pk,
        "device": describe(session.user_agent),
        "ip": session.ip,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "is_current": session.is_current(),
    }


def _present_first(session: dict[str, Any]) -> tuple[bool, float]:
    return not session["is_current"], -session["last_seen_at"].timestamp()
