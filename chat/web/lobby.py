"""The lobby: open rooms to look through and join."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from chat.access import lobby as listing
from chat.access.policy import policy
from chat.web.page_config import site_context
from chat.web.request_parameters import page_of, query


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The lobby beside the person's rooms; on a small screen the person's rooms alone."""
    return _lobby(request, showing="list")


@require_safe
@login_required
def lobby(request: HttpRequest) -> HttpResponse:
    """The lobby, on a small screen too."""
    return _lobby(request, showing="main")


def _lobby(request: HttpRequest, *, showing: str) -> HttpResponse:
    search, archived, page = request.GET.get("q", "").strip(), request.GET.get("archived") == "1", page_of(request.GET)
    rooms, more = listing.open_rooms(request.user, search=search, archived=archived, page=page)
    context: dict[str, Any] = {
        "showing": showing,
        "search": search[: listing.SEARCH_CHARS],
        "archived": archived,
        "open_rooms": rooms,
        "may_create": policy().can_create_room(request.user, "open"),
        "next_page": query(q=search, archived=int(archived), page=page + 1) if more else "",
        "previous_page": query(q=search, archived=int(archived), page=page - 1) if page > 1 else "",
    }
    return render(request, "chat/lobby.html", {**site_context(request), **context})
