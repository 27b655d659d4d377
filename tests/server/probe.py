"""An application that does what servers have to cope with, at one path each."""

import asyncio
import json
from typing import Any

import django

django.setup()  # as the site's own application does

CHUNK = b"x" * 65_536
CHUNKS = 400
chunks_sent = 0
is_begun, may_end = asyncio.Event(), asyncio.Event()


async def application(scope: Any, receive: Any, send: Any) -> None:
    kind = HTTP if scope["type"] == "http" else SOCKETS
    await kind[scope["path"]](scope, receive, send)


async def answer(send: Any, body: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def size(scope: Any, receive: Any, send: Any) -> None:
    read, more = 0, True
    while more:
        event = await receive()
        read, more = read + len(event.get("body", b"")), event.get("more_body", False)
    await answer(send, read)


async def seen(scope: Any, receive: Any, send: Any) -> None:
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    await answer(send, {"headers": headers, "client": scope["client"], "root_path": scope["root_path"]})


async def fail(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("as it is meant to")


async def say_nothing(scope: Any, receive: Any, send: Any) -> None:
    pass


async def say_half(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def wait(scope: Any, receive: Any, send: Any) -> None:
    is_begun.set()
    await may_end.wait()
    await answer(send, "waited")


async def begun(scope: Any, receive: Any, send: Any) -> None:
    await is_begun.wait()
    await answer(send, True)
    asyncio.get_running_loop().call_later(0.5, may_end.set)


async def stream(scope: Any, receive: Any, send: Any) -> None:
    global chunks_sent
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(CHUNKS):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
        chunks_sent += 1
    await send({"type": "http.response.body", "body": b""})


async def streamed(scope: Any, receive: Any, send: Any) -> None:
    before = -1
    while before != chunks_sent:
        before = chunks_sent
        await asyncio.sleep(0.3)
    await answer(send, chunks_sent)


async def large(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"200000")]})
    await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"x" * 100_000})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Echo frames; "close" closes with 4008, and so does "much", after more frames than any buffer takes."""
    await receive()
    headers = [(b"x-app", b"yes")]
    await send({"type": "websocket.accept", "headers": headers})
    while (event := await receive())["type"] == "websocket.receive":
        text = event["text"]
        for number in range(400 if text == "much" else 0):
            await send({"type": "websocket.send", "text": f"{number} ".ljust(65_536, "x")})
        if text in ("close", "much"):
            await send({"type": "websocket.close", "code": 4008})
        else:
            await send({"type": "websocket.send", "text": text})


async def accept_subprotocol(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    await receive()


async def echo_later(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.3)
    await echo(scope, receive, send)


alive = 0


async def live(scope: Any, receive: Any, send: Any) -> None:
    """Count the sockets that are open here; over HTTP, say how many there are."""
    global alive
    if scope["type"] == "http":
        await answer(send, alive)
        return
    alive += 1
    await echo(scope, receive, send)
    alive -= 1


async def deny(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"Who are you?"})


async def hang(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await receive()


async def fail_later(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    raise ValueError("as it is meant to")


HTTP = {
    "/size": size,
    "/seen": seen,
    "/fail": fail,
    "/nothing": say_nothing,
    "/half": say_half,
    "/wait": wait,
    "/begun": begun,
    "/stream": stream,
    "/streamed": streamed,
    "/alive": live,
    "/large": large,
}
SOCKETS = {
    "/echo": echo,
    "/echo-later": echo_later,
    "/subprotocol": accept_subprotocol,
    "/alive": live,
    "/deny": deny,
    "/hang": hang,
    "/fail": fail,
    "/fail-later": fail_later,
}
