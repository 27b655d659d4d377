"""What stands on a page, read as a person reads it."""

import re
from html import unescape
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

MARKS = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "SET TRANSACTION")


def address(name: str, *parts: Any) -> str:
    return reverse(f"chat:{name}", args=parts)


def read(response: Any) -> str:
    """The page's main part as text without markup."""
    html = response.content.decode()
    main = re.search(r"<main.*?</main>", html, re.DOTALL)
    text = re.sub(r"<(script|noscript).*?</\1>|<[^>]+>", " ", main[0] if main else html, flags=re.DOTALL)
    return " ".join(unescape(text).split())


def opened(client: Client, name: str, /, *parts: Any, **query: Any) -> str:
    response = client.get(address(name, *parts), query)
    assert response.status_code == 200, response.status_code
    return read(response)


def sent(client: Client, name: str, /, *parts: Any, **fields: Any) -> str:
    """Send a form, go where it leads, and read."""
    return read(client.post(address(name, *parts), fields, follow=True))


def queries_of(client: Client, name: str, *parts: Any) -> int:
    """How many queries the page takes, once what is kept over requests is warm."""
    client.get(address(name, *parts))
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address(name, *parts)).status_code == 200
    return sum(not each["sql"].startswith(MARKS) for each in captured.captured_queries)


def field_of(response: Any, name: str) -> str:
    """The value of a form's field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', response.content.decode())
    assert found, f"there is no field {name}"
    return unescape(found[1])
