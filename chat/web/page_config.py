"""What a page's scripts must know before they are connected. It reaches them through ``json_script``."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from chat.access.policy import policy
from chat.conf import conf

ROOM_PLACE = "0"
"""Stands for a room's id in the address that scripts fill in; no room has it."""


def page_config(request: HttpRequest) -> dict[str, Any]:
    """For the page of a signed-in person. ``limits`` hold until the server's ``hello`` says the same or else."""
    user = request.user
    return {
        "socket": conf.socket_path,
        "user": {"id": str(user.pk), "name": policy().name_of(user)},
        "limits": {"frameBytes": conf.frame_bytes, "bodyChars": conf.body_chars, "syncRooms": conf.sync_rooms},
        "urls": {
            "list": reverse("chat:room_list"),
            "room": reverse("chat:room", args=[ROOM_PLACE]),
        },
    }
