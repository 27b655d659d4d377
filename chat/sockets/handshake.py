"""The opening request of a socket: which site its page comes from, and what proves who is calling. No I/O."""

from typing import Any
from urllib.parse import parse_qs

from django.conf import settings

from chat.access import identity
from chat.conf import conf
from chat.wire import protocol


async def refuse(scope: Any, send: Any, status: int) -> None:
    """End a handshake, with ``status`` where the server can send it. Stock daphne always sends 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await send({"type": "websocket.http.response.start", "status": status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close"})


class Handshake:
    """Reads an ASGI WebSocket scope."""

    def __init__(self, scope: Any):
        self._scope = scope
        self._headers = dict(scope["headers"])
        self._offered = scope.get("subprotocols") or []

    @property
    def has_wrong_origin(self) -> bool:
        """Whether a page of another site asks. That is refused first, whatever other proof the request holds."""
        origin = self._header(b"origin")
        return bool(origin) and not identity.origin_allowed(origin, host=self._header(b"host"), secure=self._is_secure)

    @property
    def token(self) -> str | None:
        """The bearer token; None when there is none."""
        scheme, _, token = self._header(b"authorization").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if conf.query_token:
            return next(iter(parse_qs(self._scope["query_string"].decode("latin1")).get("token", [])), None)
        return None

    @property
    def session_key(self) -> str | None:
        """The session's key; None without a cookie, or without an Origin header that was checked.

        A cookie alone proves nothing: the browser sends it along for any site that opens a socket here.
        """
        if not self._header(b"origin"):
            return None
        return identity.session_key_in(self._header(b"cookie"))

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to echo; None when the client did not offer it."""
        return protocol.SUBPROTOCOL if protocol.SUBPROTOCOL in self._offered else None

    @property
    def wants_another_version(self) -> bool:
        return self.subprotocol is None and any(each.startswith("chat.") for each in self._offered)

    @property
    def _is_secure(self) -> bool:
        if settings.SECURE_PROXY_SSL_HEADER:
            name, secure = settings.SECURE_PROXY_SSL_HEADER
            given = self._header(name.removeprefix("HTTP_").replace("_", "-").lower().encode())
            if given:
                return given.split(",")[0].strip() == secure
        return bool(self._scope.get("scheme") == "wss")

    def _header(self, name: bytes) -> str:
        return str(self._headers.get(name, b"").decode("latin1"))
