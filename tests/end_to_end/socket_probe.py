"""An application for daphne that tells its client what the chat would see of the socket."""

import asyncio
import json
import time
from typing import Any

import django

django.setup()

from chat.live.connection import TRANSPORT  # noqa: E402
from chat.server.daphne import with_transport  # noqa: E402

BIG = 200_000
PAUSE_S = 0.5


async def probe(scope: Any, receive: Any, send: Any) -> None:
    """Send a large frame and say what is unsent of it. After a first frame, pause and say how long the next one took;
    then read no more, and say if another came."""
    await receive()
    await send({"type": "websocket.accept"})
    transport = scope["extensions"][TRANSPORT]
    await send({"type": "websocket.send", "text": "x" * BIG})
    unsent = transport.unsent_bytes()
    await send({"type": "websocket.send", "text": json.dumps({"unsent": unsent})})
    await receive()
    paused_at = time.monotonic()
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
