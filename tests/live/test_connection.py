"""The socket's ASGI send: whatever awaitable a server gives, frames leave in order; one that fails is told of."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import coroutine
from typing import Any

import pytest

from chat.live import connection as module
from chat.live.connection import Chunk, Connection
from chat.live.sending import Sender
from chat.runtime import pools
from chat.runtime.rates import RateLimit
from chat.services import tokens
from chat.sockets.consumers import ChatConsumer

SECRET = "what somebody wrote"
Write = Callable[[], None]
"""What a server's send does in the end, when somebody awaits it."""


@pytest.fixture(autouse=True)
def nothing_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = module.WARNINGS
    monkeypatch.setattr(module, "WARNINGS", RateLimit(limit.rate, limit.burst))


class Wire:
    """Where a server's send writes; it takes one frame at a time."""

    def __init__(self, kind: Callable[[Write], Any]):
        self.kind = kind
        self.asked: list[str] = []
        self.written: list[str] = []
        self.changed = asyncio.Event()

    def send(self, message: dict[str, Any]) -> Any:
        assert self.asked == self.written, "the frame before was still on its way"
        self.asked.append(message["text"])
        return self.kind(self._write)

    def _write(self) -> None:
        self.written.append(self.asked[-1])
        self.changed.set()


def connect(wire: Wire) -> Connection:
    return Connection(wire.send, close=lambda code: None)


def hand_over(sender: Sender, connection: Connection, text: str) -> None:
    connection.out.append(Chunk([text.encode()]))
    sender.at_once(connection)


async def until(condition: Callable[[], bool]) -> None:
    """Give the loop its turns until the condition holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


@pytest.fixture
async def sender() -> Sender:
    return Sender(asyncio.get_running_loop(), on_full=lambda connection: None)


@pytest.fixture
async def token(ana: Any) -> AsyncIterator[str]:
    """Of ana's, for a consumer that signs in and reads in threads of its own."""
    yield await pools.auth.run(lambda: tokens.issue(by=ana, user=ana))
    for pool in (pools.readers, pools.auth):
        await pool.run(pools.close_connections)


# Every kind of awaitable -----------------------------------------------------------------------------------------


async def coroutine_at_once(write: Write) -> None:
    write()


async def coroutine_that_waits(write: Write) -> None:
    await asyncio.sleep(0)
    waiter = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiter.set_result, None)
    await waiter
    write()


@coroutine
def coroutine_of_a_generator(write: Write) -> Generator[None, None, None]:
    yield
    write()


def done_future(write: Write) -> "asyncio.Future[None]":
    write()
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def future_done_later(write: Write) -> "asyncio.Future[None]":
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: write())
    asyncio.get_running_loop().call_soon(future.set_result, None)
    return future


def task(write: Write) -> "asyncio.Task[None]":
    return asyncio.create_task(coroutine_that_waits(write))


class Iterated:
    """As granian's: an iterator that is its own awaitable, without ``send``, ``throw`` and ``close``."""

    def __init__(self, write: Write, steps: int, error: BaseException | None = None):
        self.write, self.steps, self.error = write, steps, error

    def __await__(self) -> Iterator[None]:
        return self

    def __iter__(self) -> Iterator[None]:
        return self

    def __next__(self) -> None:
        if self.steps:
            self.steps -= 1
            return
        if self.error is not None:
            raise self.error
        self.write()
        raise StopIteration


def iterator_at_once(write: Write) -> Iterated:
    return Iterated(write, 0)


def iterator_that_waits(write: Write) -> Iterated:
    return Iterated(write, 2)


KINDS = [
    coroutine_at_once,
    coroutine_that_waits,
    coroutine_of_a_generator,
    done_future,
    future_done_later,
    task,
    iterator_at_once,
    iterator_that_waits,
]


@pytest.mark.parametrize("kind", KINDS)
async def test_any_awaitable_is_awaited_one_after_the_other(sender: Sender, kind: Callable[[Write], Any]):
    wire = Wire(kind)
    connection = connect(wire)
    for text in ("1", "2", "3"):
        hand_over(sender, connection, text)
        await asyncio.sleep(0)
    await until(lambda: len(wire.written) == 3)
    assert wire.written == ["1", "2", "3"]
    assert not connection.is_closed


@pytest.mark.parametrize("kind", KINDS)
async def test_a_socket_is_answered_whatever_awaitable_its_server_gives(token: str, kind: Callable[[Write], Any]):
    frames: asyncio.Queue[str] = asyncio.Queue()
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def send(message: dict[str, Any]) -> Any:
        return kind(lambda: frames.put_nowait(message.get("text", message["type"])))

    opening = {"type": "websocket", "path": "/ws/chat/", "query_string": b"", "headers": []}
    opening["headers"] = [(b"host", b"localhost"), (b"authorization", f"Bearer {token}".encode())]
    incoming.put_nowait({"type": "websocket.connect"})
    socket = asyncio.create_task(ChatConsumer.as_asgi()(opening, incoming.get, send))  # type: ignore[no-untyped-call]
    async with asyncio.timeout(30):
        assert await frames.get() == "websocket.accept"
        assert '"hello"' in await frames.get()
        for ref in (1, 2):
            incoming.put_nowait({"type": "websocket.receive", "text": f'{{"type":"ping","ref":{ref}}}'})
            assert f'"ref":{ref}' in await frames.get()
        incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await socket


# One that fails --------------------------------------------------------------------------------------------------


def raising(write: Write) -> Any:
    raise LookupError(SECRET)


async def raising_coroutine(write: Write) -> None:
    raise LookupError(SECRET)


async def coroutine_raising_later(write: Write) -> None:
    await asyncio.sleep(0)
    raise LookupError(SECRET)


def failed_future(write: Write) -> "asyncio.Future[None]":
    future = asyncio.get_running_loop().create_future()
    future.set_exception(LookupError(SECRET))
    return future


def future_failing_later(write: Write) -> "asyncio.Future[None]":
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_exception, LookupError(SECRET))
    return future


def iterator_raising(write: Write) -> Iterated:
    return Iterated(write, 0, LookupError(SECRET))


def iterator_raising_later(write: Write) -> Iterated:
    return Iterated(write, 1, LookupError(SECRET))


def cancelled_future(write: Write) -> "asyncio.Future[None]":
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future


def future_cancelled_later(write: Write) -> "asyncio.Future[None]":
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel)
    return future


def nothing_to_await(write: Write) -> None:
    return None


FAILURES = [
    (raising, "LookupError"),
    (raising_coroutine, "LookupError"),
    (coroutine_raising_later, "LookupError"),
    (failed_future, "LookupError"),
    (future_failing_later, "LookupError"),
    (iterator_raising, "LookupError"),
    (iterator_raising_later, "LookupError"),
    (cancelled_future, "CancelledError"),
    (future_cancelled_later, "CancelledError"),
    (nothing_to_await, "TypeError"),
]


@pytest.mark.parametrize(("kind", "cause"), FAILURES)
async def test_a_failed_send_is_a_warning_with_its_cause_and_ends_that_socket_alone(
    sender: Sender, caplog: pytest.LogCaptureFixture, kind: Callable[[Write], Any], cause: str
):
    broken, whole = Wire(kind), Wire(coroutine_at_once)
    theirs, others = connect(broken), connect(whole)
    hand_over(sender, theirs, "1")
    hand_over(sender, others, "1")
    await until(lambda: theirs.is_closed and whole.written == ["1"])
    hand_over(sender, theirs, "2")
    hand_over(sender, others, "2")
    await until(lambda: whole.written == ["1", "2"])
    assert broken.asked == ["1"]
    told = [each for each in caplog.records if each.name == module.__name__]
    assert [each.levelno for each in told] == [logging.WARNING]
    assert f"connection {theirs.id}: a send failed: {cause} at " in told[0].getMessage()
    assert SECRET not in caplog.text


async def test_a_send_may_handle_its_own_timeout(sender: Sender):
    async def patient(write: Write) -> None:
        try:
            await future_failing_later(write)
        except LookupError:
            await asyncio.sleep(0)
            write()

    wire = Wire(patient)
    connection = connect(wire)
    hand_over(sender, connection, "1")
    await until(lambda: bool(wire.written))
    assert not connection.is_closed


async def test_a_thousand_sockets_that_die_at_once_are_a_few_lines(sender: Sender, caplog: pytest.LogCaptureFixture):
    async def gone(write: Write) -> None:
        raise ConnectionResetError

    dying = [connect(Wire(gone)) for _ in range(1000)]
    for each in dying:
        hand_over(sender, each, "1")
    await until(lambda: all(each.is_closed for each in dying))
    assert 1 <= len(caplog.records) <= 10
    hand_over(sender, another := connect(Wire(raising_coroutine)), "1")
    await until(lambda: another.is_closed)
    assert "LookupError" in caplog.records[-1].getMessage(), "another cause is told all the same"


async def test_a_send_that_fails_after_its_socket_has_gone_is_no_news(sender: Sender, caplog: pytest.LogCaptureFixture):
    waiting: list[asyncio.Future[None]] = []

    async def stuck(write: Write) -> None:
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[0]

    connection = connect(Wire(stuck))
    hand_over(sender, connection, "1")
    await until(lambda: bool(waiting))
    connection.end()
    waiting[0].set_exception(ConnectionResetError())
    await until(lambda: connection._blocked is None)
    assert caplog.records == []


async def test_a_close_that_can_not_be_sent_is_a_warning_too(caplog: pytest.LogCaptureFixture):
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.close":
            incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})
            raise LookupError(SECRET)

    opening = {
        "type": "websocket",
        "path": "/ws/chat/",
        "query_string": b"",
        "headers": [],
        "subprotocols": ["chat.v9"],
    }
    incoming.put_nowait({"type": "websocket.connect"})
    async with asyncio.timeout(30):
        await ChatConsumer.as_asgi()(opening, incoming.get, send)  # type: ignore[no-untyped-call]
    await until(lambda: bool(caplog.records))
    assert "a send failed: LookupError at " in caplog.records[0].getMessage()
