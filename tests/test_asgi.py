"""chat.asgi: the path of the socket, for a site at the root and for one below a script name."""

from typing import Any

import pytest
from django.urls import set_script_prefix

from chat import routing
from chat.asgi import get_asgi_application


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``await reached(path, …)`` returns which application gets the connection: "chat", "others" or "nobody"."""

    def named(name: str) -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": name})

        return application

    monkeypatch.setattr(routing.ChatConsumer, "as_asgi", lambda: named("chat"))

    async def ask(path: str, *, root_path: str = "", with_others: bool = False) -> str:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message["type"])

        application = get_asgi_application(named("others") if with_others else None)
        await application({"type": "websocket", "path": path, "root_path": root_path}, receive, send)
        set_script_prefix("/")
        return {"websocket.close": "nobody"}.get(sent[0], sent[0])

    return ask


@pytest.mark.parametrize(
    ("setting", "path", "root_path", "who"),
    [
        ("ws/chat/", "/ws/chat/", "", "chat"),
        ("ws/chat/", "/ws/chat", "", "nobody"),
        ("ws/chat/", "/ws/other/", "", "nobody"),
        ("live/", "/live/", "", "chat"),
        ("live/", "/intranet/live/", "/intranet", "chat"),
        ("live/", "/live/", "/intranet", "chat"),  # a proxy has stripped the script name
        ("live/", "/intranet/live/", "", "nobody"),
        ("/intranet/live/", "/intranet/live/", "/intranet", "chat"),
        ("/elsewhere/live/", "/elsewhere/live/", "/intranet", "chat"),
        ("/elsewhere/live/", "/intranet/elsewhere/live/", "/intranet", "nobody"),
    ],
)
async def test_the_socket_is_where_the_setting_and_the_script_name_put_it(
    setting: str, path: str, root_path: str, who: str, settings: Any, reached: Any
) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKET_PATH": setting}
    assert await reached(path, root_path=root_path) == who


async def test_force_script_name_counts_like_a_script_name_from_the_server(settings: Any, reached: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/intranet"
    settings.CHAT = {**settings.CHAT, "SOCKET_PATH": "live/"}
    assert await reached("/intranet/live/") == "chat"
    assert await reached("/live/") == "chat"
    assert await reached("/other/live/") == "nobody"


async def test_other_paths_go_to_the_sites_own_application(reached: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "SOCKET_PATH": "ws/chat/"}
    assert await reached("/ws/prices/", with_others=True) == "others"
    assert await reached("/ws/chat/", with_others=True) == "chat"
