"""The cast, and the end of what the sockets of one test have started."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chat import process
from chat.runtime import pools
from chat.services.writer import writer
from tests.cast import ana, ana_and_ben, ben, cleo, eve, lobby, make_person, staff  # noqa: F401


@pytest.fixture
async def socket_process(transactional_db: None) -> AsyncIterator[None]:
    """What serves the sockets of the test's loop. It ends with the test.

    Its threads have connections of their own: what they read must be committed.
    """
    yield
    loop = asyncio.get_running_loop()
    if (made := process._processes.pop(loop, None)) is not None:
        made.background.cancel()
        process.publisher.unregister(loop)
    for pool in (pools.readers, pools.auth, pools.site):
        await pool.run(pools.close_connections)
    await asyncio.to_thread(writer.stop)
