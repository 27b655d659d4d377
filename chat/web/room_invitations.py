"""The way back into a private room for people who have left it: a link from a moderator, and their own consent."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from chat.access.policy import policy
from chat.error_messages import sentence_of
from chat.services import memberships
from chat.web.page_config import site_context
from chat.wire.errors import RoomArchived, RoomNotFound

SALT = "chat.room_invitation"
LASTS_S = 7 * 24 * 3600


def link(request: HttpRequest, *, room_id: int, user_id: str) -> str:
    """The address by which this person can come back into the room, for as long as whoever asks moderates it."""
    code = signing.dumps([room_id, user_id, str(request.user.pk)], salt=SALT)
    return request.build_absolute_uri(reverse("chat:room_invitation", args=[code]))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def room_invitation(request: HttpRequest, code: str) -> HttpResponse:
    """Ask whether the person wants to come back, and take them in if they do.

    A link that is wrong, too old, for somebody else or used already gets the answer of a room that does not exist.
    """
    room_id, inviter_id = _read(request, code)
    try:
        if request.method == "POST":
            room = memberships.accept(by=request.user, room_id=room_id, inviter_id=inviter_id)
            return redirect("chat:room", room=room.pk)
        invitation = memberships.invitation(by=request.user, room_id=room_id, inviter_id=inviter_id)
    except RoomNotFound:
        raise Http404(RoomNotFound.text) from None
    except RoomArchived as error:
        messages.error(request, sentence_of(error), fail_silently=True)
        return redirect("chat:home")
    context = {"room_name": invitation.room.name, "inviter": policy().name_of(invitation.inviter)}
    return render(request, "chat/room_invitation.html", {**site_context(request), **context})


def _read(request: HttpRequest, code: str) -> tuple[int, str]:
    try:
        room_id, user_id, inviter_id = signing.loads(code, salt=SALT, max_age=LASTS_S)
    except signing.BadSignature:
        raise Http404(RoomNotFound.text) from None
    if user_id != str(request.user.pk):
        raise Http404(RoomNotFound.text)
    return int(room_id), str(inviter_id)


def links_for(request: HttpRequest, room: Any, user_ids: list[str]) -> list[tuple[str, str]]:
    """Name and link of those of the people who have left the room, and so come back by their own consent alone."""
    declined = memberships.declined(room, user_ids)
    return [(policy().name_of(each.user), link(request, room_id=room.pk, user_id=each.user_key)) for each in declined]
