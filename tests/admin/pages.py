"""Use the admin's pages as a browser without scripts does."""

from html.parser import HTMLParser
from typing import Any

from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse


def url(kind: str, page: str, *args: Any) -> str:
    return reverse(f"admin:chat_{kind}_{page}", args=args)


def submit(client: Client, path: str, **wanted: Any) -> Any:
    """Open the page, fill ``wanted`` into its form, and send it."""
    page = client.get(path)
    assert page.status_code == 200, page
    return client.post(path, {**fields_in(page.content.decode()), "_save": "Save", **wanted})


def act(client: Client, kind: str, action: str, rows: list[Any], **more: Any) -> Any:
    """Run a bulk action of the list."""
    data = {"action": action, "_selected_action": [each.pk for each in rows], **more}
    return client.post(url(kind, "changelist"), data)


def said(response: Any) -> list[str]:
    """The messages that the next page would show."""
    return [str(each) for each in get_messages(response.wsgi_request)]


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        given = dict(attributes)
        name = given.get("name") or ""
        if tag == "input" and name and given.get("type") != "submit" and "__prefix__" not in name:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self.found[name] = given.get("value") or ("on" if given.get("type") == "checkbox" else "")
        elif tag == "textarea":
            self._area = name
            self.found[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in given and "__prefix__" not in self._select:
            self.found[self._select] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data


def fields_in(html: str) -> dict[str, str]:
    parser = _Fields()
    parser.feed(html)
    parser.found.pop("q", None)
    # A browser drops the line break right after <textarea>, and sends line breaks as CR LF.
    return {
        name: value.removeprefix("\n").replace("\r\n", "\n").replace("\n", "\r\n")
        for name, value in parser.found.items()
    }
