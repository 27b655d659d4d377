"""The opening request: what it says of who is calling, and how a server that can choose a status refuses it."""

import asyncio
import threading
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError

from chat.access import identity
from chat.runtime import pools
from chat.sockets import sign_in
from chat.sockets.consumers import ChatConsumer
from chat.sockets.handshake import Handshake


def scope(*headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    encoded = [(b"host", b"localhost"), *[(name.encode(), value.encode("latin1")) for name, value in headers]]
    return {"type": "websocket", "path": "/ws/chat/", "query_string": b"", "headers": encoded, **more}


async def open_with(opening: dict[str, Any]) -> list[dict[str, Any]]:
    """What the consumer answers to a handshake that it ends."""
    sent: list[dict[str, Any]] = []
    has_ended = asyncio.Event()
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]

    async def receive() -> dict[str, Any]:
        if len(incoming) == 1:
            await asyncio.wait_for(has_ended.wait(), 20)
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] in ("websocket.close", "websocket.http.response.body"):
            has_ended.set()

    await ChatConsumer.as_asgi()(opening, receive, send)  # type: ignore[no-untyped-call]
    return sent


async def test_a_wrong_token_is_401_where_the_server_can_say_so(transactional_db: None):
    opening = scope(("authorization", "Bearer nonsense"), extensions={"websocket.http.response": {}})
    sent = await open_with(opening)
    assert [each["type"] for each in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401


async def test_a_wrong_token_is_refused_before_the_upgrade_where_it_can_not(transactional_db: None):
    assert await open_with(scope(("authorization", "Bearer nonsense"))) == [{"type": "websocket.close"}]


COME_BACK = [{"type": "websocket.accept", "subprotocol": None}, {"type": "websocket.close", "code": 1000}]


async def test_a_database_that_is_away_is_told_with_a_code_to_come_back_with(caplog: pytest.LogCaptureFixture):
    away = patch.object(identity, "from_token", side_effect=OperationalError("the database is away"))
    with away:
        sent = await open_with(scope(("authorization", "Bearer token"), extensions={"websocket.http.response": {}}))
    assert sent == COME_BACK
    assert "OperationalError" in caplog.text


async def test_a_database_that_does_not_answer_is_told_before_the_server_cuts_the_handshake_off(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sign_in, "HANDSHAKE_S", 0.05)
    answered = threading.Event()
    with patch.object(identity, "from_token", side_effect=lambda _: answered.wait(30)):
        assert await open_with(scope(("authorization", "Bearer token"))) == COME_BACK
        answered.set()
        await pools.auth.run(lambda: None)


async def test_a_wrong_origin_is_403_where_the_server_can_say_so():
    opening = scope(("origin", "https://evil.example"), extensions={"websocket.http.response": {}})
    assert (await open_with(opening))[0]["status"] == 403


@pytest.mark.parametrize(
    ("headers", "session_key"),
    [
        ([("origin", "http://localhost"), ("cookie", "sessionid=abc")], "abc"),
        ([("cookie", "sessionid=abc")], None),
        ([("origin", "http://localhost")], None),
    ],
)
def test_a_cookie_counts_only_beside_an_origin(headers: list[tuple[str, str]], session_key: str | None):
    assert Handshake(scope(*headers)).session_key == session_key


@pytest.mark.parametrize(("forwarded", "is_wrong"), [("https", False), ("http", True), (None, True)])
def test_behind_a_proxy_its_scheme_counts(settings: Any, forwarded: str | None, is_wrong: bool):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = [("origin", "https://localhost")]
    if forwarded:
        headers.append(("x-forwarded-proto", forwarded))
    assert Handshake(scope(*headers)).has_wrong_origin is is_wrong


def test_a_token_in_the_query_counts_where_the_site_turns_that_on(settings: Any):
    opening = {**scope(), "query_string": b"token=abc"}
    assert Handshake(opening).token is None
    settings.CHAT = {**settings.CHAT, "QUERY_TOKEN": True}
    assert Handshake(opening).token == "abc"
