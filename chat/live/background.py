"""Work that one event loop does beside its sockets: single tasks, and jobs that repeat."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from chat.runtime.safe_logging import describe

logger = logging.getLogger(__name__)


class BackgroundTasks:
    """Starts tasks on ``loop`` and keeps them: asyncio itself only holds weak references, and would drop them."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def repeat(self, pause_s: Callable[[], float], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``work`` again and again, ``pause_s()`` seconds after it was last due. What it raises is logged."""
        self.start(self._repeat(pause_s, work))

    def cancel(self) -> None:
        """Cancel everything that still runs."""
        for task in self._tasks:
            task.cancel()

    async def _repeat(self, pause_s: Callable[[], float], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        due = self._loop.time()
        while True:
            # Counted from the moment it was due, so that slow work does not slow the rhythm down.
            due = max(due + pause_s(), self._loop.time())
            await asyncio.sleep(due - self._loop.time())
            try:
                await work()
            except Exception as error:
                logger.warning("%s: %s", work.__name__, describe(error))
