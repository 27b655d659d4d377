"""List every URL of the site, filled in with existing objects, and every form field of its pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.admin.pages import fields_in

FILTERS = (
    "q",
    "p",
    "o",
    "e",
    "all",
    "page",
    "next",
    "_popup",
    "_to_field",
    "_changelist_filters",
    "_preserved_filters",
)
"""Query parameters that are not in any form."""


@dataclass(frozen=True)
class Page:
    """A URL pattern of the site, such as ``rooms/<str:room>/``."""

    route: str

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """The converter and the name of each variable part."""
        return re.findall(r"<(?:(\w+):)?(\w+)>", self.route)

    def address(self, values: dict[str, Any], **other: str) -> str:
        """Fill in the pattern from ``values``, or from ``other`` for the parts that it names."""
        parts = {name: other.get(name, values[name]) for _kind, name in self.arguments}
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(parts[found[1]]), self.route)


def pages() -> list[Page]:
    return [Page(route) for route in _routes(get_resolver().url_patterns, "")]


def _routes(patterns: list[Any], before: str) -> Iterator[str]:
    for each in patterns:
        route = before + _plain(str(each.pattern))
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route


def _plain(pattern: str) -> str:
    """Convert a regular expression, as other apps use, to the same kind of route."""
    named = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", pattern)
    return named.replace("^", "").replace("$", "").replace(r"\Z", "")


def fields_of(client: Client, address: str) -> dict[str, str]:
    """Return the fields of all forms of the page, with their values."""
    answer = client.get(address)
    html = answer.content.decode() if answer.status_code == 200 and "html" in answer.headers["Content-Type"] else ""
    return fields_in(html)
