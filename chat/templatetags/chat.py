"""The chat on any page of a site: ``{% load chat %}{% chat_room room %}``."""

from typing import Any

from django import template
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from chat.access import lookup
from chat.access.policy import policy
from chat.models import Room
from chat.models.database import alias
from chat.web.page_config import script_context
from chat.web.time_zone import readers_zone
from chat.web.timeline import room_context
from chat.wire.errors import RoomNotFound

register = template.Library()
PRINTED = "chat.templatetags.chat"
NOTHING = SafeString("")


@register.simple_tag(takes_context=True)
def chat_room(context: Context, room: Any) -> SafeString:
    """The room, live, for people who may read it, and nothing for others. A visitor is asked to sign in.

    Style sheets and scripts come with the first room of a page. Nothing is written: a room is not made by looking.

    Args:
        room: A room, its id or its short name; or any object that ``chat.api.room_for`` has made a room for.

    Raises:
        ImproperlyConfigured: The template was not rendered for a request.
    """
    request = _request(context)
    if not request.user.is_authenticated:
        return chat_styles(context) + _sign_in(request)
    try:
        entry = lookup.watched_room(request.user, _id_of(room))
        with readers_zone(request):
            page = {**room_context(request, entry), "embed": True}
    except (RoomNotFound, Http404):
        return chat_styles(context) + _hint(room) if settings.DEBUG else NOTHING
    element = render_to_string("chat/_embedded_room.html", page, request)
    return chat_styles(context) + chat_scripts(context) + element


@register.simple_tag(takes_context=True)
def chat_styles(context: Context) -> SafeString:
    """The links to the chat's style sheets, once a page: for the head, where a page should not wait for the first
    room to bring them."""
    return render_to_string("chat/_styles.html") if _is_first(context, "styles") else NOTHING


@register.simple_tag(takes_context=True)
def chat_scripts(context: Context) -> SafeString:
    """The scripts and their configuration, once a page; nothing for a visitor who is not signed in."""
    request = _request(context)
    if not policy().is_welcome(request.user) or not _is_first(context, "scripts"):
        return NOTHING
    return render_to_string("chat/_scripts.html", script_context(request, embed=True))


def _request(context: Context) -> HttpRequest:
    # The context's own, too: ``{% include … only %}`` hides what is named "request".
    request: HttpRequest | None = context.get("request") or getattr(context, "request", None)
    if request is None or not hasattr(request, "user"):
        raise ImproperlyConfigured(
            "The chat's tags ask the request who is looking. Render the template with a request, as render() does, "
            "and have django.contrib.auth.middleware.AuthenticationMiddleware in MIDDLEWARE."
        )
    return request


def _is_first(context: Context, what: str) -> bool:
    # The lowest layer is one and the same in everything that a page extends and includes, and new for each page.
    page: Any = context.render_context.dicts[0]
    printed: set[str] = page.setdefault(PRINTED, set())
    if what in printed:
        return False
    printed.add(what)
    return True


def _id_of(room: Any) -> int:
    """The key of the room that the page names; 0 where there is no such room."""
    if isinstance(room, Room):
        return room.pk or 0
    if isinstance(room, Model):
        kind = ContentType.objects.db_manager(alias()).get_for_model(room)
        about = Room.objects.filter(subject_type=kind, subject_id=str(room.pk))
        return about.values_list("pk", flat=True).first() or 0
    return lookup.named(str(room))


def _sign_in(request: HttpRequest) -> SafeString:
    # As Django itself would send them there, with the way back.
    return render_to_string("chat/_sign_in.html", {"url": redirect_to_login(request.get_full_path()).url})


def _hint(room: Any) -> SafeString:
    """Tells the site's developer why there is no room. With DEBUG only: it tells "missing" from "not yours"."""
    return render_to_string("chat/_embedding_hint.html", {"is_missing": not _id_of(room), "given": room})
