"""A site below a script name: every address in every page stays below it."""

import json
import re
from typing import Any

from django.urls import set_script_prefix

from chat.models import Room
from chat.services import tokens
from tests.cast import say


def test_no_page_leads_out_of_the_prefix(ana: Any, ben: Any, lobby: Room, browser_of: Any):
    say(ana, lobby)
    tokens.issue(by=ana, user=ana, name="robot")
    client = browser_of(ana)
    pages = [
        "/", "/rooms/", "/new/", "/people/", "/settings/tokens/",
        f"/rooms/{lobby.pk}/", f"/rooms/{lobby.pk}/1/", f"/rooms/{lobby.pk}/settings/",
        f"/rooms/{lobby.pk}/settings/?confirm=archive", f"/rooms/{lobby.pk}/settings/?confirm=remove&user={ben.pk}",
    ]  # fmt: skip
    set_script_prefix("/intranet/")
    try:
        for place in pages:
            html = client.get(place).content.decode()
            addresses = re.findall(r'(?:href|action)="(/[^"]*)"', html)
            assert len(addresses) > 5, place
            outside = [each for each in addresses if not each.startswith(("/intranet/", "/static/"))]
            assert outside == [], place
            config = json.loads(re.findall(r'id="chat-config" type="application/json">(.*?)</script>', html)[0])
            assert all(each.startswith("/intranet/") for each in (config["socket"], *config["urls"].values()))
        assert client.post(f"/rooms/{lobby.pk}/join/")["Location"] == f"/intranet/rooms/{lobby.pk}/"
    finally:
        set_script_prefix("/")
