"""The process's seat in the channel layer: one consumer, one channel, in a group for each room and person it serves.

What arrives is a hint and goes to the hub. What does not arrive, the keeper finds.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from channels.consumer import AsyncConsumer
from channels.layers import InMemoryChannelLayer, channel_layers, get_channel_layer
from channels.utils import await_many_dispatch

from chat.conf import conf
from chat.live.hints import from_layer
from chat.live.hub import Hub
from chat.live.publisher import origin
from chat.process import Process

try:
    from channels_redis.pubsub import RedisPubSubChannelLayer
except ImportError:  # an extra; a site of one process does without
    RedisPubSubChannelLayer = ()

logger = logging.getLogger(__name__)

AGAIN_S = 1.0
PROBE_S = 5.0
"""A seat that has heard nothing for so long sends itself a message; no echo for as long again, and it is taken anew.
A subscription can die without a word on either side; redis-py sends pings, and does not miss the answers."""
PROBE = "chat.probe"
ROOM_PREFIX = "chat.room."
_tasks: set[asyncio.Task[None]] = set()


class LayerSubscriber(AsyncConsumer):
    """Joins and leaves groups for the hub, and hands it what arrives.

    Args:
        layer: Its own instance: connections of its own, that can be given up without hurting the host's consumers.
        wanted: The groups to be in; tell ``change`` when it did.
    """

    def __init__(self, hub: Hub, layer: Any, wanted: dict[str, None]):
        self._hub = hub
        self.channel_layer = layer
        self._wanted = wanted
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._heard_at = hub.loop.time()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Differs from Channels' own in its layer, and in ending when its seat is dead."""
        self.scope = scope
        self.base_send = send
        async with asyncio.timeout(conf.layer_timeout_s):
            self.channel_name = await self.channel_layer.new_channel()
        listening = partial(self.channel_layer.receive, self.channel_name)
        async with asyncio.TaskGroup() as group:
            group.create_task(await_many_dispatch([receive, listening], self.dispatch))
            group.create_task(self._keep_groups())
            group.create_task(self._probe())

    async def dispatch(self, message: dict[str, Any]) -> None:
        self._heard_at = self._hub.loop.time()
        if message["type"] != PROBE and message.get("origin") != origin():
            try:
                hint = from_layer(message)
            except (KeyError, TypeError):
                logger.warning("channel layer: a hint of another version was left out")
                return
            self._hub.take([hint])

    def change(self) -> None:
        """Look at the wanted groups again."""
        self._changed.set()

    async def _keep_groups(self) -> None:
        """Make the groups joined those that are wanted; what can't be joined now is tried again."""
        while True:
            self._changed.clear()
            joined: list[int] = []
            try:
                for group in [each for each in self._wanted if each not in self._joined]:
                    async with asyncio.timeout(conf.layer_timeout_s):
                        await self.channel_layer.group_add(group, self.channel_name)
                    self._joined.add(group)
                    if group.startswith(ROOM_PREFIX):
                        joined.append(int(group.removeprefix(ROOM_PREFIX)))
                for group in [each for each in self._joined if each not in self._wanted]:
                    async with asyncio.timeout(conf.layer_timeout_s):
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
        """Raise ``SubscriptionLost`` when messages to the seat are taken, and never arrive."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self._hub.loop.time() - self._heard_at < PROBE_S:
                continue
            asked_at = self._hub.loop.time()
            try:
                async with asyncio.timeout(conf.layer_timeout_s):
                    await self.channel_layer.send(self.channel_name, {"type": PROBE})
            except Exception:  # the layer is down, which is no fault of this seat
                self._heard_at = asked_at
                continue
            await asyncio.sleep(PROBE_S)
            if self._heard_at < asked_at:
                raise SubscriptionLost


class SubscriptionLost(Exception):
    """Nothing arrives at this channel any more."""


class LayerSubscription:
    """What the hub knows of the relay: groups to be in. Keeps one ``LayerSubscriber`` running."""

    def __init__(self, hub: Hub):
        self._hub = hub
        self._wanted: dict[str, None] = {}
        self._consumer: LayerSubscriber | None = None

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
        """Sit down, and again, over new connections, whenever the seat is lost."""
        never: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        while True:
            layer = channel_layers.make_backend(conf.channel_layer)
            self._consumer = LayerSubscriber(self._hub, layer, self._wanted)
            try:
                await self._consumer({"type": "chat.subscribe"}, never.get, _no_answer)
            except Exception as error:
                name = type(error.exceptions[0] if isinstance(error, ExceptionGroup) else error).__name__
                logger.warning("channel layer: %s; sitting down again in %s s", name, AGAIN_S)
            finally:
                await _give_up(layer)
            await asyncio.sleep(AGAIN_S)


async def _give_up(layer: Any) -> None:
    """Close the connections of a seat's own layer. Only the pub/sub layer's ``flush`` does just that."""
    if isinstance(layer, RedisPubSubChannelLayer):
        with suppress(Exception):
            async with asyncio.timeout(conf.layer_timeout_s):
                await layer.flush()


async def _no_answer(message: dict[str, Any]) -> None:
    """Nobody listens to a relay's replies."""


def start_subscriber(process: Process) -> None:
    """Give the process its seat, where the channel layer leads out of it."""
    layer = get_channel_layer(conf.channel_layer)
    if layer is None or isinstance(layer, InMemoryChannelLayer):
        return
    seat = LayerSubscription(process.hub)
    process.hub.groups = seat
    task = process.hub.loop.create_task(seat.run())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
