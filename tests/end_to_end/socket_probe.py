"""An application for daphne that tells its client what the chat would see of the socket."""

import asyncio
import json
import time
from typing import Any

import django

django.setup()

from twisted.web import http  # noqa: E402

from chat.live.connection import TRANSPORT  # noqa: E402
from chat.server.transport import with_transport  # noqa: E402

BIG = 200_000
PAUSE_S = 0.5


forms_parsed = 0
parse_form = http.parse_qs


def counted(*arguments: Any) -> Any:
    global forms_parsed
    forms_parsed += 1
    return parse_form(*arguments)


http.parse_qs = counted


async def page(receive: Any, send: Any) -> None:
    """Say how large the body was, and how many forms Twisted has parsed."""
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event.get("body", b"")), event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([size, forms_parsed]).encode()})


async def probe(scope: Any, receive: Any, send: Any) -> None:
    """Send a large frame and say what is unsent of it. After a first frame, pause and say how long the next one took;
    then read no more, and say if another came."""
    if scope["type"] == "http":
        await page(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    transport = scope["extensions"][TRANSPORT]
    await send({"type": "websocket.send", "text": "x" * BIG})
    unsent = transport.unsent_bytes()
    await send({"type": "websocket.send", "text": json.dumps({"unsent": unsent})})
    await receive()
    paused_at = time.monotonic()
    transport.pause_reading(0.0)
    transport.pause_reading(0.1)
    transport.pause_reading(PAUSE_S)
    await send({"type": "websocket.send", "text": "paused"})
    await receive()
    await send({"type": "websocket.send", "text": json.dumps({"paused_s": time.monotonic() - paused_at})})
    transport.pause_reading(0.1)
    transport.stop_reading()
    await send({"type": "websocket.send", "text": "stopped"})
    further = asyncio.ensure_future(receive())
    await asyncio.wait([further], timeout=1.0)
    await send({"type": "websocket.send", "text": json.dumps({"read_on": further.done()})})
    further.cancel()


application = with_transport(probe)
