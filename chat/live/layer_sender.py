"""Hints on their way out of the process: one task, one bounded queue, and a channel layer that may fail.

Publishing never waits for the layer. A layer that fails is left alone for a moment, because a hung Redis would cost its
time-out for each hint, one after the other. Other processes find what is dropped here by comparing heads.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterable

from channels.layers import get_channel_layer

from chat.conf import conf
from chat.live.hints import SHED_FIRST, Hint, RoomEvents
from chat.live.origin import origin

logger = logging.getLogger(__name__)

QUEUE_AT_MOST = 10_000
EVENTS_PER_HINT = 200
"""Hints of one room that wait together leave as one, up to this many events: a layer limits the size of a message."""
REST_AFTER_FAILURE_S = 1.0


class LayerSender:
    """Sends hints into the channel layer, in order, from one task on ``loop``. Putting hints in never raises."""

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
            return  # the layer is down: the other processes find out by comparing heads
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
        """The first hint. Events of the same room that follow it directly are merged into it."""
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
