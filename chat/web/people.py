"""The page of people, and the way to write to one or several of them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from chat.access import directory
from chat.access.policy import policy
from chat.conf import conf
from chat.error_messages import sentence_of
from chat.services import rooms
from chat.web.page_config import site_context
from chat.web.person_rows import picker
from chat.web.request_parameters import asks_for_list, page_of, query, search_of, users_of
from chat.wire.errors import ChatError


@require_safe
@login_required
def people(request: HttpRequest) -> HttpResponse:
    """The people whom the person may find, a page at a time, or those whose names match the search."""
    search, page = search_of(request.GET), page_of(request.GET)
    found, more = directory.people(request.user, search=search, page=page)
    context = {
        "pick": picker(found, directory.chosen(request.user, users_of(request)), search=search, page=page, more=more),
        "most": conf.direct_people - 1,
        "may_write": policy().can_create_room(request.user, "direct"),
    }
    return render(request, "chat/people.html", {**site_context(request), **context})


@require_POST
@login_required
def direct(request: HttpRequest) -> HttpResponse:
    """Open the direct room with one person (``only``), or with everybody who is ticked.

    The list's search and its pages come here too, so that what is ticked goes along.
    """
    ticked, only, page = users_of(request), request.POST.get("only"), page_of(request.POST)
    back = reverse("chat:people") + query(q=search_of(request.POST), page=page if page > 1 else 0, user=ticked)
    if only is None and asks_for_list(request.POST):
        return redirect(back)
    wanted = [only] if only else ticked
    if not wanted:
        messages.error(request, _("Select somebody to write to first."), fail_silently=True)
        return redirect(back)
    try:
        room = rooms.open_direct(by=request.user, user_ids=wanted)
    except ChatError as error:
        messages.error(request, sentence_of(error), fail_silently=True)
        return redirect(back)
    return redirect("chat:room", room=room.pk)
