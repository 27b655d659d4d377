"""A site with the chat in it, as one ASGI application. In your ``asgi.py``, instead of Django's own:

from chat.asgi import get_asgi_application

application = get_asgi_application()
"""

from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core import asgi
from django.urls import get_resolver


def get_asgi_application(websocket: Any = None) -> Any:
    """Django's application with the chat's socket beside it, at ``CHAT["SOCKET_PATH"]``.

    Args:
        websocket: The application for your own sockets, on every path that is not the chat's. Without one, other paths
            are refused.
    """
    http = asgi.get_asgi_application()
    from chat.routing import websocket_application  # imports models, so only after Django's set-up

    # Import all views now: on the first request, that would block the event loop.
    _ = get_resolver().url_patterns
    return ProtocolTypeRouter({"http": http, "websocket": websocket_application(websocket)})
