"""No text in a URL, a form or a cookie breaks a page: the text is refused, or matches nothing.

The tests go through all URLs of chat, accounts and admin, with every field of their pages. They run on PostgreSQL too,
which refuses other texts than SQLite does.
"""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client

from chat import api
from chat.models import Membership, Message, Token
from chat.services import tokens
from project.accounts import invitations
from project.accounts.models import SiteSettings
from tests.project.conftest import PASSWORD
from tests.walk import FILTERS, Page, fields_of, pages

pytestmark = pytest.mark.django_db
ODD = {
    "long": "x" * 60_000,
    "number": "9" * 60_000,
    "large": str(2**63),
    "nul": "a\x00b",
}
FILLED = {
    **dict.fromkeys(("password", "oldpassword", "password1", "password2"), PASSWORD),
    "login": "ana",
    "username": "neo",
    "email": "neo@example.com",
    "first_name": "Neo",
    "name": "Matrix",
    "rooms": "General",
    "sign_up": "open",
    "action": "make",
    "action_add": "1",
}
"""Values that a form needs before it looks at its other fields."""
LOOKUPS = (
    "username__icontains",
    "name__contains",
    "email__in",
    "pk__gt",
    "id__exact",
    "pk__in",
    "state",
    "kind",
    "person",
)
"""Query parameters that lists in the admin understand, whatever their filters are."""
LOGOUTS = ("accounts/logout/", "admin/logout/")


@pytest.fixture
def things(olga: Any, ana: Any, settings: Any) -> dict[str, Any]:
    """One object of each kind that a URL can name."""
    settings.ACCOUNT_RATE_LIMITS = False  # rate limits would answer instead of the pages
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    SiteSettings.objects.filter(pk=1).update(sign_up="open", members_invite=True)
    room = api.create_room("Lobby", olga, kind="open", members=[ana])
    api.post(room, olga, "hello")
    tokens.issue(by=ana, user=ana, name="bot")
    return {
        "chat/room": room.pk,
        "chat/membership": Membership.objects.get(user=ana).pk,
        "chat/message": Message.objects.get().pk,
        "chat/token": Token.objects.get().pk,
        "auth/user": ana.pk,
        "auth/group": Group.objects.create(name="helpers").pk,
        "account/emailaddress": EmailAddress.objects.create(user=ana, email="ana@example.com", primary=True).pk,
        "accounts/invitation": (invitation := invitations.create(by=olga)).pk,
        "accounts/sitesettings": 1,
        "room": room.pk,
        "number": 1,
        "code": invitation.code,
        "key": "Mg:1abc",
        "uidb36": "1",
        "content_type_id": 1,
        "app_label": "chat",
        "url": "nowhere",
    }


def address_of(page: Page, things: dict[str, Any], **other: str) -> str:
    kind = page.route.removeprefix("admin/").split("<")[0].rstrip("/")
    return page.address({"object_id": things.get(kind, 1), "id": things.get(kind), **things}, **other)


def odd(client: Client, method: str, address: str, data: dict[str, Any], *, least: int = 500) -> list[str]:
    """Send the request. Return its description if the status is at least ``least``, and otherwise an empty list."""
    with transaction.atomic():  # the next request must find everything unchanged
        answer = getattr(client, method)(address, data)
        transaction.set_rollback(True)
    return [f"{method} {address[:80]} {list(data)}: {answer.status_code}"] if answer.status_code >= least else []


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("who", ["owner", "visitor"])
def test_no_field_breaks_its_page(olga: Any, things: dict[str, Any], who: str, kind: str) -> None:
    text, client, found, asked = ODD[kind], Client(raise_request_exception=False), list[str](), 0
    if who == "owner":
        client.force_login(olga)
    for page in pages():
        if page.route in LOGOUTS or (who == "visitor" and page.route.startswith("admin/")):
            continue
        address = address_of(page, things)
        fields = {name: value or FILLED.get(name, "") for name, value in fields_of(client, address).items()}
        asked += len(fields)
        for name in {*FILTERS, *fields} if not page.arguments else ():
            found += odd(client, "get", address, {name: text})
        for name in fields:
            found += odd(client, "post", address, {**fields, name: text})
        if page.route.startswith("admin/") and page.route.count("/") == 3 and who == "owner":
            found += [each for name in LOOKUPS for each in odd(client, "get", address, {name: text})]
            for action in ("delete_selected", "revoke", "deactivate", "make_owner", "archive", "make_verified"):
                chosen = {"action": action, "_selected_action": text, "post": "yes"}
                found += odd(client, "post", address, chosen)
        for name in [name for _converter, name in page.arguments] if "\x00" not in text else ():
            for method in ("get", "post"):
                found += odd(client, method, address_of(page, things, **{name: text}), {})
    assert not found, "\n".join(found)
    assert asked > (50 if who == "owner" else 10), "the forms were found"


@pytest.mark.parametrize("kind", ODD)
def test_no_parameter_breaks_the_autocomplete_view(olga: Any, things: dict[str, Any], kind: str) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(olga)
    asked = {"app_label": "chat", "model_name": "membership", "field_name": "user", "term": "an"}
    assert client.get("/admin/autocomplete/", asked).status_code == 200
    assert not [
        each for name in asked for each in odd(client, "get", "/admin/autocomplete/", {**asked, name: ODD[kind]})
    ]


@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken", "messages", "chat_time_zone", "django_language"])
@pytest.mark.parametrize("text", ["x" * 60_000, '"aaaaaaaaaaaa\\000"', "9" * 60_000])
def test_no_cookie_breaks_a_page(olga: Any, cookie: str, text: str) -> None:
    client = Client(raise_request_exception=False, headers={"cookie": f"{cookie}={text}"})
    for address in ("/accounts/login/", "/rooms/", "/admin/"):
        assert client.get(address).status_code < 500, address


@pytest.mark.parametrize("size", [255, 60_000])
def test_a_login_name_that_is_too_long_is_refused(olga: Any, size: int) -> None:
    answer = Client().post("/accounts/login/", {"login": "x" * size, "password": PASSWORD})
    assert answer.status_code == 200 and "at most 254 characters" in answer.content.decode()


def test_a_search_for_too_long_a_text_is_refused(olga: Any) -> None:
    client = Client()
    client.force_login(olga)
    for name in ("q", "username__icontains"):
        assert client.get("/admin/auth/user/", {name: "x" * 60_000}).status_code == 400
    for search in ("a " * 500, "ä" * 1000, "%" * 1000):
        assert client.get("/admin/auth/user/", {"q": search}).status_code == 200


@pytest.mark.parametrize("text", ["9" * 60_000, "[" * 60_000, f"[{'9' * 60_000}]"])
def test_an_invalid_list_of_rooms_is_an_error_at_its_field(olga: Any, text: str) -> None:
    client = Client()
    client.force_login(olga)
    answer = client.post("/admin/accounts/sitesettings/1/change/", {"first_rooms": text, "sign_up": "open"})
    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
