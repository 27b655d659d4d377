"""The process's seat in the channel layer: one consumer, one channel, in a group for each room and person it serves.

What arrives is a hint and goes to the hub. What does not arrive, the keeper finds.
"""

import asyncio
import logging
from typing import Any

from channels.consumer import AsyncConsumer
from channels.layers import InMemoryChannelLayer, get_channel_layer

from chat.conf import conf
from chat.live.hints import from_layer
from chat.live.hub import Hub
from chat.live.process import Process
from chat.live.publisher import origin

logger = logging.getLogger(__name__)

AGAIN_S = 1.0
PROBE_S = 5.0
"""A seat that has heard nothing for so long sends itself a message; no echo for as long again, and it is taken anew.
A subscription can die without a word on either side; redis-py sends pings, and does not miss the answers."""
ROOM_PREFIX = "chat.room."
_tasks: set[asyncio.Task[None]] = set()


class RelayConsumer(AsyncConsumer):
    """Joins and leaves groups for the hub, and hands it what arrives."""

    def __init__(self, hub: Hub, wanted: dict[str, None]):
        self._hub = hub
        self._wanted = wanted
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._heard_at = hub.loop.time()
        self.channel_layer_alias = conf.channel_layer

    async def dispatch(self, message: dict[str, Any]) -> None:
        self._heard_at = self._hub.loop.time()
        if message["type"] == "relay.seated":
            self._keep = asyncio.gather(self._keep_groups(), self._probe())
        elif message["type"] != "relay.probe" and message.get("origin") != origin():
            try:
                hint = from_layer(message)
            except (KeyError, TypeError):
                logger.warning("channel layer: a hint of another version was left out")
                return
            self._hub.take([hint])

    def change(self) -> None:
        """Look at the wanted groups again."""
        self._changed.set()

    def end(self) -> None:
        if keep := getattr(self, "_keep", None):
            keep.cancel()

    async def _keep_groups(self) -> None:
        """Make the groups joined those that are wanted; what can't be joined now is tried again."""
        while True:
            self._changed.clear()
            joined: list[int] = []
            try:
                for group in [each for each in self._wanted if each not in self._joined]:
                    await self.channel_layer.group_add(group, self.channel_name)
                    self._joined.add(group)
                    if group.startswith(ROOM_PREFIX):
                        joined.append(int(group.removeprefix(ROOM_PREFIX)))
                for group in [each for each in self._joined if each not in self._wanted]:
                    await self.channel_layer.group_discard(group, self.channel_name)
                    self._joined.discard(group)
            except Exception as error:
                logger.warning("channel layer: joining groups: %s", type(error).__name__)
                await asyncio.sleep(AGAIN_S)
                continue
            finally:
                if joined:
                    # What was published between reading a room and joining its group reached nobody here.
                    self._hub.on_compare(joined)
            await self._changed.wait()

    async def _probe(self) -> None:
        """Return when the seat is dead: messages to it are taken, and never arrive."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self._hub.loop.time() - self._heard_at < PROBE_S:
                continue
            asked_at = self._hub.loop.time()
            try:
                await self.channel_layer.send(self.channel_name, {"type": "relay.probe"})
            except Exception:  # the layer is down, which is no fault of this seat
                self._heard_at = asked_at
                continue
            await asyncio.sleep(PROBE_S)
            if self._heard_at < asked_at:
                logger.warning("channel layer: no echo in %s s; taking the seat anew", PROBE_S)
                await self.channel_layer.flush()
                self.seat.cancel()


class Seat:
    """What the hub knows of the relay: groups to be in. Keeps one ``RelayConsumer`` running."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._wanted: dict[str, None] = {}
        self._consumer: RelayConsumer | None = None

    def join(self, group: str) -> None:
        self._wanted[group] = None
        self._tell()

    def leave(self, group: str) -> None:
        self._wanted.pop(group, None)
        self._tell()

    def _tell(self) -> None:
        if self._consumer is not None:
            self._consumer.change()

    async def run(self) -> None:
        """Sit down, and again whenever the seat is lost."""
        while True:
            self._consumer = RelayConsumer(self._hub, self._wanted)
            seated: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
            seated.put_nowait({"type": "relay.seated"})
            sitting = asyncio.ensure_future(self._consumer({"type": "chat.relay"}, seated.get, _no_answer))
            self._consumer.seat = sitting
            try:
                await asyncio.wait([sitting])
                if not sitting.cancelled() and (error := sitting.exception()) is not None:
                    logger.warning("channel layer: %s; sitting down again in %s s", type(error).__name__, AGAIN_S)
            finally:
                sitting.cancel()
                self._consumer.end()
            await asyncio.sleep(AGAIN_S)


async def _no_answer(message: dict[str, Any]) -> None:
    """Nobody listens to a relay's replies."""


def start_relay(process: Process) -> None:
    """Give the process its seat, where the channel layer leads out of it."""
    layer = get_channel_layer(conf.channel_layer)
    if layer is None or isinstance(layer, InMemoryChannelLayer):
        return
    seat = Seat(process.hub)
    process.hub.relay = seat
    task = process.hub.loop.create_task(seat.run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
