"""The live half of this process: hub, keeper and catch-up of one event loop, made when the first socket comes.

daphne has no start-up hook for applications, so the first connection starts it all.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from chat.live import publisher
from chat.live.catch_up import CatchUp
from chat.live.hub import Hub
from chat.live.keeper import Keeper


@dataclass(frozen=True)
class Process:
    hub: Hub
    catch_up: CatchUp
    keeper: Keeper


_processes: dict[asyncio.AbstractEventLoop, Process] = {}


def current(*, renew_epoch: Callable[[int, str], None], on_start: Callable[[Process], None]) -> Process:
    """The process of the running loop, started on first use; ``on_start`` then gives it its seat in the layer."""
    loop = asyncio.get_running_loop()
    process = _processes.get(loop)
    if process is None:
        hub = Hub(loop)
        catch_up = CatchUp(hub)
        process = _processes[loop] = Process(hub, catch_up, Keeper(hub, catch_up, renew_epoch))
        publisher.register(loop, hub.take)
        on_start(process)
        process.keeper.start()
    return process
