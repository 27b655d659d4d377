"""The pages: a shell with what a person sees at once; the browser's connection brings the rest and keeps it live."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from chat.access import doors, queries
from chat.models import Room
from chat.web.page_config import page_config
from chat.wire.errors import RoomNotFound


@login_required
def room_list(request: HttpRequest) -> HttpResponse:
    """The person's rooms, and a place to find others."""
    return render(request, "chat/room_list.html", _site(request))


@login_required
def room(request: HttpRequest, room: str) -> HttpResponse:
    """One room, by id or by short name.

    Raises:
        Http404: Missing, or not for this person to see: the same answer, so that nobody can probe for rooms.
    """
    try:
        entry = doors.watched_room(request.user, _id_of(room))
    except RoomNotFound:
        raise Http404 from None
    state = queries.room_state(request.user, entry.room.pk)
    return render(request, "chat/room.html", {**_site(request), "room": state})


def _id_of(room: str) -> str:
    """A short name may consist of digits only; an id wins over it."""
    if room.isdigit():
        return room
    return str(Room.objects.filter(slug=room).values_list("pk", flat=True).first() or "")


def _site(request: HttpRequest) -> dict[str, Any]:
    # The most recently active ones; where there are more, the connection brings them.
    rooms, _more, _version = queries.hello(request.user)
    return {"rooms": rooms, "config": page_config(request)}
