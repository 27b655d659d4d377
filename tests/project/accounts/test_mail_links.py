"""A link in a mail leads to the site, whatever the request for it named as its host."""

import re
from typing import Any

import pytest
from django.test import Client


def link_for(host: str, mailoutbox: list[Any], **options: Any) -> str:
    Client(headers={"host": host}).post("/accounts/password/reset/", {"email": "ana@example.com"}, **options)
    (found,) = re.findall(r"https?://\S+", mailoutbox[-1].body)
    return found.partition("/accounts/")[0]


@pytest.mark.parametrize(
    "allowed", [["chat.example.com", "*"], ["*", "chat.example.com"], ["chat.example.com", ".com"]]
)
def test_a_host_that_only_a_pattern_allows_is_in_no_link(
    olga: Any, ana: Any, settings: Any, mailoutbox: list[Any], allowed: list[str]
) -> None:
    settings.ALLOWED_HOSTS = allowed
    assert link_for("evil.com", mailoutbox) == "http://chat.example.com"
    assert link_for("CHAT.example.com", mailoutbox) == "http://chat.example.com"
    assert link_for("evil.com:8443", mailoutbox) == "http://chat.example.com"


@pytest.mark.parametrize("host", ["chat.example.com", "localhost:8000", "[::1]:8000", "[::1]"])
def test_each_name_of_the_site_gets_links_to_itself(
    olga: Any, ana: Any, settings: Any, mailoutbox: list[Any], host: str
) -> None:
    settings.ALLOWED_HOSTS = ["chat.example.com", "localhost", "[::1]"]
    assert link_for(host, mailoutbox) == f"http://{host}"


def test_over_https_a_port_must_be_one_of_the_site(olga: Any, ana: Any, settings: Any, mailoutbox: list[Any]) -> None:
    settings.ALLOWED_HOSTS = ["chat.example.com"]
    settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
    assert link_for("chat.example.com:8443", mailoutbox, secure=True) == "https://chat.example.com"
    settings.CSRF_TRUSTED_ORIGINS = ["https://chat.example.com:8443"]
    assert link_for("chat.example.com:8443", mailoutbox, secure=True) == "https://chat.example.com:8443"
    assert link_for("chat.example.com:666", mailoutbox, secure=True) == "https://chat.example.com"


def test_a_site_that_names_only_patterns_gets_what_was_asked_for(
    olga: Any, ana: Any, settings: Any, mailoutbox: list[Any]
) -> None:
    settings.ALLOWED_HOSTS = [".example.com"]
    assert link_for("team.example.com", mailoutbox) == "http://team.example.com"
