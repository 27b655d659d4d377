"""A fake server, and clients that reconnect at once."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chat.client import ChatClient
from chat.client.core import reconnecting
from tests.client.fake_server import FakeServer


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the back-off to hundredths of a second, so that tests of reconnecting are quick."""
    monkeypatch.setattr(reconnecting, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(reconnecting, "RETRY_CAP_S", 0.05)


@pytest.fixture
async def connect(server: FakeServer, impatient: None) -> AsyncIterator[Callable[..., Any]]:
    """``await connect(token="ben-token", …)``: a started client of the fake server; ana's unless told otherwise."""
    clients: list[ChatClient] = []

    async def start(**options: Any) -> ChatClient:
        if "cookies" not in options:
            options.setdefault("token", "ana-token")
        client = ChatClient(server.url, proxy=None, **options)
        clients.append(client)
        await client.__aenter__()
        return client

    yield start
    for client in clients:
        await client.aclose()
