"""Making a room and choosing its first members."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from chat.access import directory
from chat.services import rooms
from chat.web.forms import NewRoomForm
from chat.web.page_config import site_context
from chat.web.person_rows import picker
from chat.web.request_parameters import TICKED_AT_MOST, asks_for_list, page_of, search_of, users_of
from chat.wire.errors import ChatError


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def new_room(request: HttpRequest) -> HttpResponse:
    """The form. A search for people sends it too, and returns it with everything that was typed and ticked."""
    if request.method != "POST":
        return _page(request, NewRoomForm())
    if asks_for_list(request.POST):
        return _page(request, NewRoomForm(initial=request.POST.dict()))
    form = NewRoomForm(request.POST)
    wanted = users_of(request)
    if form.is_valid() and form.cleaned_data["kind"] == "open":
        wanted = []  # people find an open room by themselves
    if len(wanted) > TICKED_AT_MOST:
        form.add_error(None, _("Add fewer people at once."))
    if form.is_valid():
        given = form.cleaned_data
        try:
            made = rooms.create(
                by=request.user,
                name=given["name"],
                topic=given["topic"],
                kind=given["kind"],
                client_id=given["client_id"],
                user_ids=wanted,
            )
        except ChatError as error:
            form.refuse(error)
        else:
            return redirect("chat:room", room=made.pk)
    return _page(request, form)


def _page(request: HttpRequest, form: NewRoomForm) -> HttpResponse:
    search, page = search_of(request.POST), page_of(request.POST)
    found, more = directory.people(request.user, search=search, page=page, size=directory.PICK)
    chosen = directory.chosen(request.user, users_of(request))
    context = {"form": form, "pick": picker(found, chosen, search=search, page=page, more=more)}
    return render(request, "chat/new_room.html", {**site_context(request), **context})
