"""``{% chat_room %}``: what a site's own page gets for one line, and what it doesn't get."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template import Context, RequestContext, Template
from django.test import RequestFactory
from django.urls import set_script_prefix

from chat import api
from chat.models import Room
from tests.cast import say

ONE = "{% load chat %}{% chat_room room %}"
TWO = "{% load chat %}{% chat_room room %}{% chat_room other %}"
PARTS = {
    "styles": 'rel="stylesheet" href="/static/chat/css/tokens.css"',
    "config": 'id="chat-config"',
    "script": 'type="module"',
}


def request_of(user: Any, path: str = "/orders/7/?tab=chat", **extra: Any) -> HttpRequest:
    request = RequestFactory().get(path, **extra)
    request.user = user
    return request


def page(user: Any, source: str = ONE, **names: Any) -> str:
    context = RequestContext(request_of(user))
    context.push(names)
    return Template(source).render(context)


def config_in(html: str) -> Any:
    return json.loads(html.split('id="chat-config" type="application/json">')[1].split("</script>")[0])


def counts(html: str) -> dict[str, int]:
    return {name: html.count(part) for name, part in PARTS.items()}


def test_a_reader_gets_the_room_with_all_it_needs(staff: Room, ana: Any, ben: Any) -> None:
    say(ana, staff, "Good **morning**")
    html = page(ben, room=staff)
    assert counts(html) == {"styles": 1, "config": 1, "script": 1}
    assert html.count("<chat-room") == 1
    assert f'room="{staff.pk}"' in html
    assert "Good <strong>morning</strong>" in html, "painted before any script runs"
    assert config_in(html)["embed"] is True
    assert config_in(html)["user"]["id"] == str(ben.pk)


@pytest.mark.parametrize("how", ["row", "key", "text", "slug"])
def test_a_room_is_named_in_any_way(how: str, staff: Room, ana: Any) -> None:
    names = {"row": staff, "key": staff.pk, "text": str(staff.pk), "slug": staff.slug}
    assert f'room="{staff.pk}"' in page(ana, room=names[how])


def test_an_object_stands_for_its_room(ana: Any, ben: Any) -> None:
    room = api.room_for(ben, name="About Ben")
    assert "<chat-room" not in page(ana, room=ben), "she is not in it"
    api.add_member(room, ana)
    assert f'room="{room.pk}"' in page(ana, room=ben)


def test_rendering_the_tag_makes_no_room(ana: Any, ben: Any) -> None:
    before = Room.objects.count()
    assert page(ana, room=ben) == ""
    assert Room.objects.count() == before


def test_two_rooms_share_scripts_and_configuration(staff: Room, lobby: Room, ana: Any) -> None:
    html = page(ana, TWO, room=staff, other=lobby)
    assert counts(html) == {"styles": 1, "config": 1, "script": 1}
    assert html.count("<chat-room") == 2
    ids = [each.split('"')[0] for each in html.split(' id="')[1:]]
    assert len(ids) == len(set(ids)), ids


def test_rooms_in_included_templates_share_them_too(staff: Room, lobby: Room, ana: Any) -> None:
    included = Template("{% load chat %}{% chat_room each %}")
    html = page(
        ana,
        "{% for each in rooms %}{% include included %}{% include included with each=each only %}{% endfor %}",
        rooms=[staff, lobby], included=included,
    )  # fmt: skip
    assert counts(html)["script"] == 1


def test_the_head_may_have_them_instead(staff: Room, ana: Any) -> None:
    source = "{% load chat %}<head>{% chat_styles %}{% chat_scripts %}</head>{% chat_room room %}"
    head, body = page(ana, source, room=staff).split("</head>")
    assert counts(head) == {"styles": 1, "config": 1, "script": 1}
    assert counts(body) == {"styles": 0, "config": 0, "script": 0}
    assert "<chat-room" in body


def test_an_anonymous_visitor_is_led_to_the_sites_own_login_page(staff: Room, settings: Any) -> None:
    settings.LOGIN_URL = "/door/?from=shop"
    html = page(AnonymousUser(), "{% load chat %}{% chat_scripts %}{% chat_room room %}", room=staff)
    assert 'href="/door/?from=shop&amp;next=/orders/7/%3Ftab%3Dchat"' in html
    assert counts(html) == {"styles": 1, "config": 0, "script": 0}
    assert "Staff" not in html
    assert html == page(AnonymousUser(), "{% load chat %}{% chat_scripts %}{% chat_room room %}", room=987654321), (
        "a stranger can't tell which rooms there are"
    )


def test_a_missing_room_and_a_hidden_one_both_render_nothing(staff: Room, eve: Any) -> None:
    assert page(eve, room=staff) == page(eve, room=987654321) == page(eve, room="no-such-room") == ""
    assert page(eve, room=None) == page(eve, room="") == page(eve, room=Room()) == ""


def test_with_debug_it_says_why_there_is_nothing(staff: Room, eve: Any, settings: Any) -> None:
    settings.DEBUG = True
    assert "room_for" in page(eve, room=eve)
    assert "POLICY" in page(eve, room=staff)


def test_a_page_without_a_request_names_the_missing_context(staff: Room) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"AuthenticationMiddleware"):
        Template(ONE).render(Context({"room": staff}))


def test_nothing_in_it_needs_inline_code(staff: Room, ana: Any) -> None:
    say(ana, staff, "</script><script>alert(1)</script>")
    html = page(ana, room=staff)
    scripts = html.split("<script")[1:]
    assert all('type="application/json"' in each.split(">")[0] or "src=" in each.split(">")[0] for each in scripts)
    assert " style=" not in html
    assert " onclick=" not in html


def test_addresses_follow_the_script_name(staff: Room, ana: Any) -> None:
    set_script_prefix("/intranet/")
    try:
        config = config_in(page(ana, room=staff))
    finally:
        set_script_prefix("/")
    assert config["socket"] == "/intranet/ws/chat/"
    assert config["urls"]["home"].startswith("/intranet/")


def test_an_explicit_socket_path_is_used_unchanged(staff: Room, ana: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKET_PATH": "/live/"}
    assert config_in(page(ana, room=staff))["socket"] == "/live/"
