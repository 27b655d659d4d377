"""No sentence was forgotten: on a German page, everything that is not somebody's own words came out of a catalogue.

Whatever a catalogue gives is put in brackets; the names of people and rooms here are Greek. Latin letters outside
brackets are then a text that is not marked for translation, or has none.
"""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import django
import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils.translation import override
from django.utils.translation.trans_real import DjangoTranslation

from chat import api
from chat.models import Room
from chat.services import tokens
from chat.templatetags import chat_timeline
from chat.web import script_texts, timeline
from project.accounts import invitations, setup_code
from project.accounts.models import SiteSettings

pytestmark = pytest.mark.django_db
PASSWORD = "winter-harbour-57"
NOT_TOLD = ("script", "style", "kbd")
"""Their contents are no sentences; keys are called what stands on the keyboard."""
READ_OUT = ("alt", "aria-label", "aria-description", "data-copied", "data-selected", "placeholder", "title")
NOT_WORDS = re.compile(r"Hearth|\S+@\S+|https?://\S+|/invite/\S+/|direct-\w+")
OF_DJANGO = re.compile(r"\b(Search|True|False)\b")
"""Alternative texts of pictures in the lists of its admin, which are not marked there."""
WORD = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z,.'’]+)*")


def _marked_by_django() -> Iterator[str]:
    for catalogue in Path(django.__file__).parent.rglob("locale/en/LC_MESSAGES/django.po"):
        for lines in re.findall(r'^msgid (".*"(?:\n".*")*)', catalogue.read_text(), re.MULTILINE):
            yield "".join(map(ast.literal_eval, lines.splitlines()))


MARKED_BY_DJANGO = frozenset(_marked_by_django())
"""A new Django has texts in its admin that its own translators have not come to yet."""


class Texts(HTMLParser):
    """What a page says to eyes and to screen readers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._silent += tag in NOT_TOLD
        self.found += [given[name] or "" for name in READ_OUT if name in given]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.found.append(given.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in NOT_TOLD

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def bare_words(html: str) -> list[str]:
    parser = Texts()
    parser.feed(html)
    text, before = "\n".join(parser.found), ""
    while text != before:
        text, before = re.sub(r"⟦[^⟦⟧]*⟧", " ", text), text
    return WORD.findall(OF_DJANGO.sub(" ", NOT_WORDS.sub(" ", text)))


def forget_texts() -> None:
    """What is kept in a language must be said anew with brackets, and without them afterwards."""
    script_texts._in_language.cache_clear()
    timeline._day_in_full.cache_clear()
    chat_timeline._printed = chat_timeline._Printed()


@pytest.fixture(autouse=True)
def _brackets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plain, plural = DjangoTranslation.gettext, DjangoTranslation.ngettext

    def gettext(self: Any, message: str) -> str:
        said = plain(self, message)
        return f"⟦{said}⟧" if message in self._catalog or message in MARKED_BY_DJANGO else said

    def ngettext(self: Any, one: str, many: str, count: int) -> str:
        said = plural(self, one, many, count)
        return f"⟦{said}⟧" if said not in (one, many) or one in MARKED_BY_DJANGO else said

    monkeypatch.setattr(DjangoTranslation, "gettext", gettext)
    monkeypatch.setattr(DjangoTranslation, "ngettext", ngettext)
    forget_texts()
    yield
    forget_texts()


@pytest.fixture
def german() -> Iterator[Client]:
    with override("de"):  # and after the test whatever was before: requests leave their language behind
        yield Client(headers={"accept-language": "de-DE,de;q=0.9"})


def person(name: str, **more: Any) -> Any:
    people = get_user_model()._default_manager
    return people.create_user(name, f"{people.count()}@example.com", PASSWORD, first_name=name, **more)


@pytest.fixture
def olga(german: Client) -> Any:
    """The owner, signed in; her site has a bit of everything."""
    SiteSettings.objects.update_or_create(pk=1, defaults={"stage": "done", "name": "Σπίτι"})
    olga, ben = person("όλγα", is_staff=True, is_superuser=True), person("μπεν")
    invitations.create(by=olga)
    invitations.create(by=olga, max_uses=3, note="ένα")
    invitations.revoke(by=olga, key=invitations.create(by=olga).pk)
    tokens.issue(by=olga, user=olga, name="δύο")
    kitchen = api.create_room("Κουζίνα", olga, kind="open", topic="τρία", members=[ben])
    api.create_room("Κήπος", ben, kind="open")
    api.create_room("Σοφίτα", olga, kind="private")
    api.archive_room(api.create_room("Υπόγειο", olga, kind="open"))
    first = api.post(kitchen, ben, "τέσσερα").id
    api.post(kitchen, olga, "πέντε", reply_to=first)
    api.edit(api.post(kitchen, olga, "έξι").id, olga, "επτά")
    api.delete(api.post(kitchen, olga, "οκτώ").id, olga)
    api.open_direct(olga, [ben])
    german.post("/accounts/login/", {"login": "όλγα", "password": PASSWORD})
    german.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert german.get("/accounts/email/").status_code == 200, "the premise"
    return olga


def wrong(client: Client, path: str, fields: dict[str, Any] | None = None) -> list[str]:
    answer = client.get(path, follow=True) if fields is None else client.post(path, fields, follow=True)
    assert answer.headers["Content-Language"] == "de"
    assert "⟦" in answer.content.decode(), "the premise"
    return [f"{path} {fields or ''}: {each}" for each in bare_words(answer.content.decode())]


def room_paths() -> Iterator[str]:
    for room in Room.objects.all():
        yield from (f"/rooms/{room.pk}/", f"/rooms/{room.pk}/settings/")
        yield from (f"/rooms/{room.pk}/settings/?confirm={each}" for each in ("leave", "archive"))


PAGES = (
    *("/", "/rooms/", "/rooms/?q=zz", "/new/", "/people/", "/people/?q=zz", "/settings/tokens/", "/rooms/0/"),
    *("/settings/", "/settings/sessions/", "/settings/delete/", "/settings/site/", "/settings/invitations/"),
    *("/accounts/email/", "/accounts/password/change/", "/accounts/logout/", "/accounts/reauthenticate/"),
)
FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/new/", {"action": "make"}),
    ("/new/", {"action": "make", "name": "\x07", "kind": "open", "client_id": "x"}),
    ("/direct/", {"action": "write"}),
    ("/direct/", {"action": "write", "only": "0"}),
    ("/settings/tokens/", {"action": "make"}),
    ("/settings/tokens/", {"action": "make", "name": "εννέα"}),
    ("/settings/tokens/", {"action": "revoke", "token": "0"}),
    ("/settings/", {"first_name": "\u202e", "username": "a"}),
    ("/settings/", {"first_name": "όλγα", "username": "όλγα"}),
    ("/settings/delete/", {"password": "1"}),
    ("/settings/delete/", {"password": PASSWORD}),
    ("/settings/site/", {"name": "Σπίτι", "sign_up": "none"}),
    ("/settings/invitations/", {"max_uses": "0"}),
    ("/settings/invitations/", {"days": "7"}),
    ("/settings/sessions/", {}),
    ("/accounts/email/", {"action_add": "1", "email": "x"}),
    ("/accounts/email/", {"action_add": "1", "email": "new@example.com"}),
    ("/accounts/password/change/", {"oldpassword": "1", "password1": "2"}),
)
ADMIN = ("chat/room", "chat/message", "chat/membership", "chat/token", "accounts/invitation", "accounts/sitesettings")


def test_the_pages_of_somebody_signed_in(german: Client, olga: Any) -> None:
    found = [each for path in (*PAGES, *room_paths()) for each in wrong(german, path)]
    assert not found, "\n".join(found)


def test_forms_and_their_answers(german: Client, olga: Any) -> None:
    found = [each for path, fields in FORMS for each in wrong(german, path, fields)]
    room = next(room_paths())
    for fields in ({"action": "add"}, {"action": "role", "user": "1"}, {"action": "update"}, {"action": "leave"}):
        found += wrong(german, f"{room}settings/", fields)
    assert not found, "\n".join(found)


def test_the_pages_of_somebody_signed_out(german: Client, olga: Any) -> None:
    german.logout()
    code = invitations.create(by=olga).code
    gone = [each for path in PAGES_FOR_ALL for each in wrong(german, path.format(code=code))]
    gone += wrong(german, "/accounts/login/", {"login": "x", "password": "x"})
    gone += wrong(german, "/accounts/login/", {})
    german.post(f"/invite/{code}/")
    gone += wrong(german, "/accounts/signup/")
    gone += wrong(
        german, "/accounts/signup/", {"username": "a-", "email": "x", "password1": "1", "first_name": "\u202e"}
    )
    gone += wrong(german, "/accounts/signup/", {"username": "όλγα", "email": "x@y.example", "password1": "1234567890"})
    assert not gone, "\n".join(gone)


PAGES_FOR_ALL = (
    *("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/accounts/password/reset/done/"),
    *("/accounts/password/reset/key/done/", "/accounts/password/reset/key/1-abc/", "/accounts/confirm-email/"),
    *("/accounts/confirm-email/abc/", "/accounts/inactive/", "/invite/abc/", "/invite/{code}/", "/nowhere/"),
)


def test_the_first_run(german: Client) -> None:
    gone = wrong(german, "/setup/") + wrong(german, "/setup/?code=wrong")
    german.get(setup_code.link())
    owner = {"first_name": "όλγα", "username": "όλγα", "email": "o@example.com", "password1": PASSWORD}
    for fields in ({}, owner, {}, {"name": "Σπίτι", "rooms": "Κουζίνα"}, {}, {"sign_up": "invitation"}):
        gone += wrong(german, "/setup/", fields)
    assert not gone, "\n".join(gone)


def test_the_admin(german: Client, olga: Any) -> None:
    gone = []
    for kind in ADMIN:
        gone += wrong(german, f"/admin/{kind}/")
        key = german.get(f"/admin/{kind}/").context["cl"].result_list[0].pk
        gone += wrong(german, f"/admin/{kind}/{key}/change/")
        gone += wrong(german, f"/admin/{kind}/{key}/delete/") if kind != "accounts/sitesettings" else []
    gone += wrong(german, "/admin/chat/room/add/") + wrong(german, "/admin/") + wrong(german, "/admin/auth/user/")
    assert not gone, "\n".join(gone)


def test_mails(german: Client, olga: Any, mailoutbox: list[Any]) -> None:
    german.post("/accounts/email/", {"action_add": "1", "email": "new@example.com"})
    german.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "autumn-lake-81"})
    german.logout()
    german.post("/accounts/password/reset/", {"email": olga.email})
    german.post("/accounts/password/reset/", {"email": "unknown@example.com"})
    german.post(f"/invite/{invitations.create(by=olga).code}/")
    new = {"first_name": "νέα", "username": "νέα", "email": "nea@example.com", "password1": PASSWORD}
    german.post("/accounts/signup/", new)
    texts = [f"{each.subject}\n{each.body}" for each in mailoutbox]
    assert len(texts) == 5
    assert [words for text in texts for words in bare_words(text)] == []
