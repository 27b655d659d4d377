"""The pages of the chat. A host site includes this under any prefix: ``path("chat/", include("chat.urls"))``."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache

from chat.web import lobby, new_room, people, room_invitations, room_settings, rooms, tokens
from chat.web.limited import limited
from chat.web.time_zone import in_readers_zone

app_name = "chat"


def page(route: str, view: Callable[..., Any], name: str) -> URLPattern:
    """Route to a page that is one person's: no cache keeps it, so the Back button does not show it after sign-out."""
    return path(route, never_cache(limited(in_readers_zone(view))), name=name)


urlpatterns = [
    page("", lobby.home, name="home"),
    page("rooms/", lobby.lobby, name="lobby"),
    page("new/", new_room.new_room, name="new_room"),
    page("rooms/<str:room>/", rooms.room, name="room"),
    page("rooms/<str:room>/<int:number>/", rooms.message, name="message"),
    page("rooms/<str:room>/settings/", room_settings.room_settings, name="room_settings"),
    page("rooms/<str:room>/join/", rooms.join, name="join"),
    page("rooms/<str:room>/leave/", rooms.leave, name="leave"),
    page("invitations/<str:code>/", room_invitations.room_invitation, name="room_invitation"),
    page("people/", people.people, name="people"),
    page("direct/", people.direct, name="direct"),
    page("settings/tokens/", tokens.tokens, name="tokens"),
]
