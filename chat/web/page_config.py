"""What a page's scripts must know before they are connected. ``json_script`` prints it."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import get_script_prefix, reverse

from chat.access import reads
from chat.access.policy import policy
from chat.conf import conf
from chat.web.script_texts import script_texts
from chat.web.sidebar import sections
from chat.web.socket_path import socket_path
from chat.web.time_zone import script_zone
from chat.web.timeline import MANY_UNREAD
from chat.web.timeline_rows import COLOURS, GROUP, QUOTE_CHARS

PLACE = "0"
"""Stands for an id or a number in an address that scripts fill in; no room and no message has it."""


def site_context(request: HttpRequest) -> dict[str, Any]:
    """What every page inside ``chat/site.html`` needs: the person's rooms, and what the scripts must know."""
    # The most recently active rooms. The connection brings the others, if there are more.
    rooms, _more, _version = reads.hello(request.user)
    return {"rooms": rooms, "sidebar": sections(rooms), **script_context(request)}


def script_context(request: HttpRequest, **config: Any) -> dict[str, Any]:
    """What ``chat/_scripts.html`` needs: the config, with what is given besides."""
    return {"config": {**page_config(request), **config}}


def page_config(request: HttpRequest) -> dict[str, Any]:
    """For the page of a signed-in person. ``limits`` hold until the server's ``hello`` says otherwise."""
    user = request.user
    return {
        "socket": socket_path(get_script_prefix()),
        "user": {"id": str(user.pk), "name": policy().name_of(user)},
        "limits": {
            "frameBytes": conf.frame_bytes,
            "bodyChars": conf.body_chars,
            "syncRooms": conf.sync_rooms,
            "history": conf.history_messages,
            "catchUp": conf.catch_up,
            "unanswered": conf.unanswered,
        },
        "timeline": {
            "groupMs": GROUP // timedelta(milliseconds=1),
            "avatarColours": COLOURS,
            "quoteChars": QUOTE_CHARS,
            "manyUnread": MANY_UNREAD,
        },
        "urls": {
            "home": reverse("chat:home"),
            "room": reverse("chat:room", args=[PLACE]),
            "message": reverse("chat:message", args=[PLACE, int(PLACE)]),
        },
        "zone": script_zone(request),
        "texts": script_texts(),
    }
