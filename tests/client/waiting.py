"""Wait for a state of the fake server or of a client."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition()`` holds.

    Raises:
        TimeoutError: It does not hold within 30 s.
    """
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the fake server has no events to wait for
            await asyncio.sleep(0.005)
