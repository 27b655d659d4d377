"""A room's page, at its newest messages or around one of them; joining and leaving."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from chat.access import lookup
from chat.access.lookup import Entry
from chat.access.policy import policy
from chat.error_messages import sentence_of
from chat.services import memberships
from chat.web.page_config import site_context
from chat.web.request_parameters import query
from chat.web.timeline import room_context
from chat.wire.errors import ChatError, RoomNotFound


@require_safe
@login_required
def room(request: HttpRequest, room: str) -> HttpResponse:
    """A room, by id or by short name, at its newest messages."""
    return _page(request, watched(request, room), around=None)


@require_safe
@login_required
def message(request: HttpRequest, room: str, number: int) -> HttpResponse:
    """The room around one of its messages, which the page marks (a deleted message still has its place).

    Where there is no message of that number it leads to the room, with a sentence that says so.

    Raises:
        Http404: No such room, or not for this person to see.
    """
    entry = watched(request, room)
    if not 1 <= number <= entry.room.last_number:
        messages.warning(request, _("There is no such message here."), fail_silently=True)
        return redirect("chat:room", room=entry.room.pk)
    return _page(request, entry, around=number)


@require_POST
@login_required
def join(request: HttpRequest, room: str) -> HttpResponse:
    """Become a member and go to the room, or to the lobby with a sentence if that is refused."""
    try:
        joined = memberships.join(by=request.user, room_id=lookup.named(room))
    except RoomNotFound:
        raise Http404 from None
    except ChatError as error:
        messages.error(request, sentence_of(error), fail_silently=True)
        return redirect("chat:lobby")
    return redirect("chat:room", room=joined.pk)


@require_POST
@login_required
def leave(request: HttpRequest, room: str) -> HttpResponse:
    """Leave the room, or hide a direct one, and go to the lobby. People who could not come back are asked first.

    Raises:
        Http404: No such room, or not for this person to see.
    """
    entry = watched(request, room)
    may_return = entry.room.is_direct or (not entry.room.archived and policy().can_join(request.user, entry.room))
    if not may_return and entry.membership is not None:
        return redirect(reverse("chat:room_settings", args=[entry.room.pk]) + query(confirm="leave"))
    try:
        return left(request, entry)
    except RoomNotFound:  # lost between the look at the door and now
        raise Http404 from None


def left(request: HttpRequest, entry: Entry) -> HttpResponse:
    """End the person's membership, and say so in the lobby."""
    memberships.leave(by=request.user, room_id=entry.room.pk)
    gone = _("The conversation is hidden until its next message.") if entry.room.is_direct else _("You left the room.")
    messages.success(request, gone, fail_silently=True)
    return redirect("chat:lobby")  # on a phone, home shows no more than one's rooms


def watched(request: HttpRequest, room: str) -> Entry:
    """The room that an address names, if the person may read it.

    Raises:
        Http404: Missing, or not for this person to see: the same answer, so that nobody can probe for rooms.
    """
    try:
        return lookup.watched_room(request.user, lookup.named(room))
    except RoomNotFound:
        raise Http404 from None


def _page(request: HttpRequest, entry: Entry, around: int | None) -> HttpResponse:
    return render(request, "chat/room.html", {**site_context(request), **room_context(request, entry, around)})
