"""The socket's place among a site's addresses.

``chat.asgi`` serves it at ``CHAT["SOCKET_PATH"]``. A site that routes its sockets itself takes
``URLRouter(websocket_urlpatterns)``, or ``ChatConsumer`` at a path of its own that ``SOCKET_PATH`` names too.
"""

from typing import Any

from django.core.handlers.asgi import get_script_prefix
from django.urls import path

from chat.sockets.consumers import ChatConsumer
from chat.web.socket_path import socket_path

websocket_urlpatterns = [path("ws/chat/", ChatConsumer.as_asgi())]


def websocket_application(others: Any = None) -> Any:
    """The socket at ``CHAT["SOCKET_PATH"]``.

    Args:
        others: The application for every other path; without one these are refused.
    """
    chat = ChatConsumer.as_asgi()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if _is_ours(scope):
            await chat(scope, receive, send)
        elif others is not None:
            await others(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})

    return application


def _is_ours(scope: Any) -> bool:
    prefix = get_script_prefix(scope).rstrip("/")
    asked, ours = scope["path"], socket_path(prefix)
    # A proxy passes on the script name or takes it off; Django, too, puts up with both.
    return asked == ours or (bool(prefix) and prefix + asked == ours)
