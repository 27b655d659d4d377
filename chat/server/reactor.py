"""The event loop that a server runs on: uvloop, or plain asyncio where uvloop is missing."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from twisted.internet import asyncioreactor

REACTOR = "twisted.internet.reactor"


def install() -> asyncio.AbstractEventLoop:
    """Make Twisted's reactor run on the event loop, and return that.

    Call it before anything imports ``daphne.server``, which would install one of plain asyncio.

    Raises:
        RuntimeError: Something has imported a reactor of another kind.
    """
    if REACTOR not in sys.modules:
        loop = _new_loop()
        if "ASGI_THREADS" in os.environ:  # daphne's own variable
            loop.set_default_executor(ThreadPoolExecutor(max_workers=int(os.environ["ASGI_THREADS"])))
        asyncioreactor.install(loop)
    reactor = sys.modules[REACTOR]
    if not isinstance(reactor, asyncioreactor.AsyncioSelectorReactor):
        raise RuntimeError(f"Something has installed {type(reactor).__name__}, and daphne needs asyncio's reactor.")
    runs_on: asyncio.AbstractEventLoop = reactor._asyncioEventloop
    asyncio.set_event_loop(runs_on)
    return runs_on


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
