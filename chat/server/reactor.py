"""The event loop that a server runs on: uvloop, or plain asyncio where uvloop is missing."""

import asyncio
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.main import CONNECTION_LOST, installReactor

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
        installReactor(_Reactor(loop))
    reactor = sys.modules[REACTOR]
    if not isinstance(reactor, asyncioreactor.AsyncioSelectorReactor):
        raise RuntimeError(f"Something has installed {type(reactor).__name__}, and daphne needs asyncio's reactor.")
    runs_on: asyncio.AbstractEventLoop = reactor._asyncioEventloop
    asyncio.set_event_loop(runs_on)
    return runs_on


class _Reactor(asyncioreactor.AsyncioSelectorReactor):
    """Notices a reset that comes together with data.

    uvloop then calls the reader once, and never again: libuv reports EBADF and stops watching. Twisted gets the data,
    and would believe for ever that the connection lives.
    """

    def _readOrWrite(self, selectable: Any, read: bool) -> None:
        super()._readOrWrite(selectable, read)
        if read and selectable in self._readers:
            of = getattr(selectable, "socket", None)
            if of is not None and of.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._disconnectSelectable(selectable, CONNECTION_LOST, read)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
