"""What nobody types and scanners send. Runs on PostgreSQL too, which refuses even to look for U+0000."""

from typing import Any

import pytest

from chat.models import Room
from tests.web.pages import address

ODD = ("\x00", "a\x00b", "9" * 300, "٣", "-1")


@pytest.mark.parametrize("odd", ODD)
def test_an_impossible_id_is_not_found(ana: Any, lobby: Room, browser_of: Any, odd: str):
    client, settings = browser_of(ana), address("room_settings", lobby.pk)
    assert client.get(address("room", odd)).status_code == 404
    assert client.get(address("message", odd, 1)).status_code == 404
    assert client.post(address("join", odd)).status_code == 404
    assert client.get(settings, {"confirm": "remove", "user": odd}).status_code == 404
    for action in ("remove", "role", "add"):
        refused = client.post(settings, {"action": action, "user": odd, "role": "owner"})
        assert refused.status_code == 200, "the page with a sentence, and no redirect that says it is done"
    assert client.post(address("direct"), {"only": odd}).url == address("people")
    assert client.get(address("people"), {"q": odd, "user": odd, "page": odd}).status_code == 200
    assert client.get(address("lobby"), {"q": odd, "page": odd}).status_code == 200
    assert client.post(address("tokens"), {"action": "revoke", "token": odd}).status_code == 302
    assert client.get(f"/invite/{odd}/").status_code == 404
