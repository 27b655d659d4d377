"""The process's subscription to the channel layer: one channel, in one group for each room and person it serves.

Whatever arrives is a hint and goes to the hub. The reconciler finds what does not arrive.
"""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from channels.consumer import AsyncConsumer
from channels.layers import channel_layers
from channels.utils import await_many_dispatch

from chat.conf import conf
from chat.live.hints import PresenceAsked, from_layer
from chat.live.hub import Hub
from chat.live.origin import origin

try:
    from channels_redis.pubsub import RedisPubSubChannelLayer
except ImportError:  # an extra; a site of one process does without
    RedisPubSubChannelLayer = ()

logger = logging.getLogger(__name__)

RETRY_S = 1.0
PROBE_S = 5.0
"""A subscriber that has heard nothing for this long sends itself a message. Without an echo for as long again, it
subscribes anew: a subscription can die silently on both sides, and redis-py does not notice missing answers to its
pings."""
PROBE = "chat.probe"
ROOM_PREFIX = "chat.room."
TO_ALL_PREFIX = "everybody."
"""Of the types of hints that all processes are told."""


class LayerSubscriber(AsyncConsumer):
    """Joins and leaves groups for the hub, and hands it what arrives.

    Args:
        layer: Its own instance: its connections can be closed without hurting the host's consumers.
        wanted: The groups to be in. Call ``change`` after changing it.
    """

    def __init__(self, hub: Hub, layer: Any, wanted: dict[str, None]):
        self._hub = hub
        self.channel_layer = layer
        self._wanted = wanted
        self._joined: set[str] = set()
        self._changed = asyncio.Event()
        self._heard_at = hub.loop.time()
        self.all_heard_at: float | None = None
        """When something last came that all processes are told."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Differs from Channels' own in its layer, and in ending when the subscription is lost."""
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
        if message["type"].startswith(TO_ALL_PREFIX):
            self.all_heard_at = self._heard_at
        is_own = message.get("origin") == origin()
        if message["type"] == PROBE or (is_own and message["type"] != PresenceAsked.kind):
            return
        try:
            hint = from_layer(message)
        except (KeyError, TypeError):
            logger.warning("channel layer: a hint of another version was ignored")
            return
        self._hub.take([hint])

    def change(self) -> None:
        """Join and leave groups until they are the wanted ones."""
        self._changed.set()

    async def _keep_groups(self) -> None:
        """Make the joined groups equal to the wanted ones. A group that cannot be joined now is tried again."""
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
                await asyncio.sleep(RETRY_S)
                continue
            finally:
                if joined:
                    # Hints that were published after a room was read and before its group was joined are lost.
                    self._hub.owner.compare_soon(joined)
            await self._changed.wait()

    async def _probe(self) -> None:
        """Raise ``SubscriptionLost`` when the layer accepts messages to this channel and they never arrive."""
        while True:
            await asyncio.sleep(PROBE_S)
            if self._hub.loop.time() - self._heard_at < PROBE_S:
                continue
            asked_at = self._hub.loop.time()
            try:
                async with asyncio.timeout(conf.layer_timeout_s):
                    await self.channel_layer.send(self.channel_name, {"type": PROBE})
            except Exception:  # the layer is down: the subscription may be sound
                self._heard_at = asked_at
                continue
            await asyncio.sleep(PROBE_S)
            if self._heard_at < asked_at:
                raise SubscriptionLost


class SubscriptionLost(Exception):
    """The layer delivers nothing to this channel any more."""


class LayerSubscription:
    """The groups that the hub wants to be in. ``run`` keeps one ``LayerSubscriber`` going that joins them."""

    def __init__(self) -> None:
        self._wanted: dict[str, None] = {}
        self._subscriber: LayerSubscriber | None = None

    def join(self, group: str) -> None:
        self._wanted[group] = None
        self._tell()

    def leave(self, group: str) -> None:
        self._wanted.pop(group, None)
        self._tell()

    @property
    def all_heard_at(self) -> float | None:
        """When something last came that all processes are told, by the loop's clock; None: not since this process has
        subscribed last."""
        return self._subscriber.all_heard_at if self._subscriber is not None else None

    def _tell(self) -> None:
        if self._subscriber is not None:
            self._subscriber.change()

    async def run(self, hub: Hub) -> None:
        """Subscribe, and do so again over new connections whenever the subscription is lost."""
        never: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        while True:
            layer = channel_layers.make_backend(conf.channel_layer)
            self._subscriber = LayerSubscriber(hub, layer, self._wanted)
            try:
                await self._subscriber({"type": "chat.subscribe"}, never.get, _no_answer)
            except Exception as error:
                name = type(error.exceptions[0] if isinstance(error, ExceptionGroup) else error).__name__
                logger.warning("channel layer: %s; subscribing again in %s s", name, RETRY_S)
            finally:
                await _disconnect(layer)
            await asyncio.sleep(RETRY_S)


async def _disconnect(layer: Any) -> None:
    """Close the connections of a subscriber's own layer. Only the pub/sub layer's ``flush`` does just that."""
    if isinstance(layer, RedisPubSubChannelLayer):
        with suppress(Exception):
            async with asyncio.timeout(conf.layer_timeout_s):
                await layer.flush()


async def _no_answer(message: dict[str, Any]) -> None:
    """A subscriber has nobody to reply to."""
