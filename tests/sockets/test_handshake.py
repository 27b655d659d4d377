"""The opening request: what it says of who is calling, and how a server that can choose a status refuses it."""

from typing import Any

import pytest

from chat.sockets.consumers import ChatConsumer
from chat.sockets.handshake import Handshake


def scope(*headers: tuple[str, str], **more: Any) -> dict[str, Any]:
    encoded = [(b"host", b"localhost"), *[(name.encode(), value.encode("latin1")) for name, value in headers]]
    return {"type": "websocket", "path": "/ws/chat/", "query_string": b"", "headers": encoded, **more}


async def open_with(opening: dict[str, Any]) -> list[dict[str, Any]]:
    """What the consumer answers to the handshake, ended by the client right after it."""
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ChatConsumer.as_asgi()(opening, receive, send)  # type: ignore[no-untyped-call]
    return sent


async def test_a_wrong_token_is_401_where_the_server_can_say_so(transactional_db: None):
    opening = scope(("authorization", "Bearer nonsense"), extensions={"websocket.http.response": {}})
    sent = await open_with(opening)
    assert [each["type"] for each in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    assert sent[0]["status"] == 401


async def test_a_wrong_token_is_refused_before_the_upgrade_where_it_can_not(transactional_db: None):
    assert await open_with(scope(("authorization", "Bearer nonsense"))) == [{"type": "websocket.close"}]


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
