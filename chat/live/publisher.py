"""From a committed change to whoever watches: this process's hubs at once, the other processes by a hint.

``publish`` may be called from anywhere: the writer's thread, a view, a task queue, a shell. It never waits for the
channel layer (``live/layer_sender.py``).
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from channels.layers import InMemoryChannelLayer, get_channel_layer

from chat.conf import conf
from chat.live.hints import Hint
from chat.live.layer_sender import LayerSender
from chat.models import database

LAST_WORDS_S = 2.0
"""How long an ending process waits for its last hints to leave."""

_hubs: dict[asyncio.AbstractEventLoop, Callable[[list[Hint]], None]] = {}
_senders: dict[asyncio.AbstractEventLoop, LayerSender] = {}
_background_lock = threading.Lock()
_background: LayerSender | None = None


def publish_on_commit(hints: list[Hint]) -> None:
    """Publish once the open transaction has committed, and not at all if it rolls back."""
    if hints:
        database.on_commit(lambda: publish(hints))


def publish(hints: list[Hint]) -> None:
    """Hand ``hints`` to the hubs of this process and, through the channel layer, to other processes."""
    for loop, take in list(_hubs.items()):
        try:
            loop.call_soon_threadsafe(take, hints)
        except RuntimeError:  # the loop is closed, and its hub with it
            unregister(loop)
    publish_elsewhere(hints)


def publish_elsewhere(hints: list[Hint]) -> None:
    """Hand ``hints`` to other processes alone, through the channel layer."""
    if reaches_other_processes():
        sender = next(iter(_senders.values()), None) or _background_sender()
        sender.put_threadsafe(hints)


def register(loop: asyncio.AbstractEventLoop, take: Callable[[list[Hint]], None]) -> None:
    """Give ``take``, a hub's on ``loop``, all that this process publishes, and send to the layer from that loop."""
    _hubs[loop] = take
    _senders[loop] = LayerSender(loop)


def unregister(loop: asyncio.AbstractEventLoop) -> None:
    _hubs.pop(loop, None)
    if (sender := _senders.pop(loop, None)) and not loop.is_closed():
        loop.call_soon_threadsafe(sender.stop)


def reaches_other_processes() -> bool:
    """Whether the channel layer leads out of this process."""
    layer = get_channel_layer(conf.channel_layer)
    return layer is not None and not isinstance(layer, InMemoryChannelLayer)


def _forget_threads() -> None:
    """Reset after fork(): loops and threads live only in the parent, which still sends what they hold."""
    global _background, _background_lock
    _hubs.clear()
    _senders.clear()
    _background, _background_lock = None, threading.Lock()  # the parent may have held the old one
    atexit.unregister(_end_background)


os.register_at_fork(after_in_child=_forget_threads)


def _background_sender() -> LayerSender:
    """The sender of a process without a hub (a task queue, a shell): its loop runs in a thread of its own."""
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
    """Let the last hints of an ending process leave, then stop the loop."""

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
