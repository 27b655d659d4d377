"""The socket's URL.

``chat.asgi`` serves the socket at ``CHAT["SOCKET_PATH"]``. A site that routes its sockets itself uses
``URLRouter(websocket_urlpatterns)``, or mounts ``ChatConsumer`` at a path of its own and sets ``SOCKET_PATH`` to match.
"""

from typing import Any

from django.core.handlers.asgi import get_script_prefix
from django.urls import path

from chat.access.client_address import network_of
from chat.server.transport import with_transport
from chat.sockets.consumers import ChatConsumer
from chat.sockets.handshake import refuse
from chat.sockets.sign_in import welcomes
from chat.web.socket_path import socket_path

websocket_urlpatterns = [path("ws/chat/", with_transport(ChatConsumer.as_asgi()))]


def websocket_application(others: Any = None) -> Any:
    """Return an ASGI application that serves the chat's socket at ``CHAT["SOCKET_PATH"]``.

    Args:
        others: The application for all other paths; without one, these do not exist (404, where the server can say so).
    """
    chat = with_transport(ChatConsumer.as_asgi())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if _is_ours(scope):
            await chat(scope, receive, send)
        elif others is not None:
            await others(scope, receive, send)
        else:
            await receive()
            await welcomes(network_of(scope))  # sockets that lead nowhere cost as much as others
            await refuse(scope, send, 404)

    return application


def _is_ours(scope: Any) -> bool:
    prefix = get_script_prefix(scope).rstrip("/")
    asked, ours = scope["path"], socket_path(prefix)
    # A proxy may pass the script name on or strip it; Django accepts both as well.
    return asked == ours or (bool(prefix) and prefix + asked == ours)
