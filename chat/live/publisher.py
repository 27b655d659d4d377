"""From a committed change to who watches: the hub of this process at once, the other processes by a hint.

``publish`` may be called from anywhere: the writer's thread, a view, a Celery task, a shell. Nothing waits for the
channel layer: hints leave through one background task behind a bounded queue, and a layer that fails is left alone
for a moment: a hung Redis costs its time-out for each publish, one after the other. What is dropped here of
a room's log, every process finds by comparing heads; rights that ended, by looking again.
"""

import asyncio
import atexit
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache

from channels.layers import InMemoryChannelLayer, get_channel_layer

from chat.conf import conf
from chat.live.hints import SHED_FIRST, Hint, RoomEvents
from chat.models import database

logger = logging.getLogger(__name__)

QUEUE_AT_MOST = 10_000
EVENTS_PER_HINT = 200
"""Hints of one room that wait together leave as one, until it holds so many events; a layer's messages have a limit."""
REST_AFTER_FAILURE_S = 1.0
LAST_WORDS_S = 2.0
"""How long a process that ends waits for its last hints to leave."""

_hubs: dict[asyncio.AbstractEventLoop, Callable[[list[Hint]], None]] = {}
_senders: dict[asyncio.AbstractEventLoop, "LayerSender"] = {}
_background_lock = threading.Lock()
_background: "LayerSender | None" = None


def origin() -> str:
    """Marks what this process says in the layer: its own hubs have it already, and it must not come to them twice."""
    return _origin_of(os.getpid())  # a server may fork after import


@cache
def _origin_of(pid: int) -> str:
    return f"{pid:x}.{secrets.token_hex(8)}"


def publish_on_commit(hints: list[Hint]) -> None:
    """Publish when the open transaction has committed; not at all if it rolls back."""
    if hints:
        database.on_commit(lambda: publish(hints))


def publish(hints: list[Hint]) -> None:
    """Hand ``hints`` to the hubs of this process and, through the channel layer, to the other processes."""
    for loop, take in list(_hubs.items()):
        try:
            loop.call_soon_threadsafe(take, hints)
        except RuntimeError:  # the loop is closed: its hub went with it
            unregister(loop)
    if _reaches_others():
        sender = next(iter(_senders.values()), None) or _background_sender()
        sender.put_threadsafe(hints)


def register(loop: asyncio.AbstractEventLoop, take: Callable[[list[Hint]], None]) -> None:
    """Let the hub that runs on ``loop`` take what this process publishes, and its loop carry the sender."""
    _hubs[loop] = take
    _senders[loop] = LayerSender(loop)


def unregister(loop: asyncio.AbstractEventLoop) -> None:
    _hubs.pop(loop, None)
    if (sender := _senders.pop(loop, None)) and not loop.is_closed():
        loop.call_soon_threadsafe(sender.stop)


def _forget_threads() -> None:
    """Start anew in a forked process: its loops and threads stayed behind, with what they were about to send."""
    global _background, _background_lock
    _hubs.clear()
    _senders.clear()
    _background, _background_lock = None, threading.Lock()  # the other may have been held
    atexit.unregister(_end_background)


os.register_at_fork(after_in_child=_forget_threads)


def _reaches_others() -> bool:
    """Whether the channel layer leads out of this process."""
    layer = get_channel_layer(conf.channel_layer)
    return layer is not None and not isinstance(layer, InMemoryChannelLayer)


class LayerSender:
    """Sends hints into the channel layer, in order, from one task on ``loop``. Never raises to who puts them in."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._queue: deque[Hint] = deque()
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._resting_until = 0.0
        self.is_idle = threading.Event()
        self.is_idle.set()
        self._handed_in = 0
        self._handed_in_lock = threading.Lock()

    def put_threadsafe(self, hints: list[Hint]) -> None:
        with self._handed_in_lock:
            self._handed_in += 1
            self.is_idle.clear()
        try:
            self._loop.call_soon_threadsafe(self._put, hints)
        except RuntimeError:  # the loop is closed
            self._taken_in()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _put(self, hints: Iterable[Hint]) -> None:
        if self._loop.time() < self._resting_until:
            self._taken_in()
            return  # the layer is down; heads tell the others
        for hint in hints:
            if len(self._queue) >= QUEUE_AT_MOST:
                if isinstance(hint, SHED_FIRST):
                    continue
                self._queue.popleft()
            self._queue.append(hint)
        if self._wake is None:
            self._wake = asyncio.Event()
            self._task = self._loop.create_task(self._run())
        self._taken_in()
        self._wake.set()

    def _taken_in(self) -> None:
        with self._handed_in_lock:
            self._handed_in -= 1
            if not self._handed_in and not self._queue:
                self.is_idle.set()

    async def _run(self) -> None:
        assert self._wake is not None
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                hint = self._next()
                try:
                    await self._send(hint)
                except Exception as error:
                    self._rest(error)
            with self._handed_in_lock:
                if not self._handed_in:
                    self.is_idle.set()

    def _next(self) -> Hint:
        """The first hint; further events of the same room at the head of the queue ride along."""
        hint = self._queue.popleft()
        if isinstance(hint, RoomEvents):
            events = list(hint.events)
            while (
                self._queue
                and isinstance(more := self._queue[0], RoomEvents)
                and (more.room_id, more.epoch) == (hint.room_id, hint.epoch)
                and len(events) < EVENTS_PER_HINT
            ):
                events += more.events
                self._queue.popleft()
            hint = RoomEvents(hint.room_id, hint.epoch, events)
        return hint

    async def _send(self, hint: Hint) -> None:
        layer = get_channel_layer(conf.channel_layer)
        if layer is not None:
            async with asyncio.timeout(conf.layer_timeout_s):
                await layer.group_send(hint.group, {**hint.to_layer(), "origin": origin()})

    def _rest(self, error: Exception) -> None:
        logger.warning("channel layer: %s; hints rest for %s s", type(error).__name__, REST_AFTER_FAILURE_S)
        self._queue.clear()
        self._resting_until = self._loop.time() + REST_AFTER_FAILURE_S


def _background_sender() -> LayerSender:
    """For a process without a hub (a task queue, a shell, a management command): a loop in a thread of its own."""
    global _background
    with _background_lock:
        if _background is None:
            loop = asyncio.new_event_loop()
            _background = LayerSender(loop)
            thread = threading.Thread(target=loop.run_forever, name="chat-publisher", daemon=True)
            thread.start()
            atexit.register(_end_background, _background, loop, thread)
    return _background


def _end_background(sender: LayerSender, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    """A command that posts and ends: its hints leave before it does, and its loop ends in order."""

    async def cancel_tasks() -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    sender.is_idle.wait(LAST_WORDS_S)
    with suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(cancel_tasks(), loop).result(LAST_WORDS_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(LAST_WORDS_S)
