"""Accepting connections on one listening socket, and stopping to."""

import asyncio
import errno
import logging
import socket
from typing import Any

from chat.server.listening import BACKLOG, listen

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Connections that are accepted in one turn of the event loop. Other processes that listen on the same socket get the
rest, and the sockets that are there already get their turn."""
FULL, FULL_S = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM), 1.0
"""How long nothing is accepted when there are no more file descriptors. What comes meanwhile waits in the backlog."""


class Acceptor:
    """Gives accepted connections to a Twisted factory.

    Twisted's own ports listen again, with a shorter backlog, and open Unix sockets to everybody.
    """

    def __init__(self, listening: socket.socket, factory: Any, reactor: Any):
        self._listening = listening
        self._factory = factory
        self._reactor = reactor
        self._loop: asyncio.AbstractEventLoop = reactor._asyncioEventloop
        self._resumes: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Listen and accept.

        Raises:
            OSError: Another process listens there.
        """
        self.stop()
        listen(self._listening)
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def stop(self) -> None:
        """Accept nothing. What comes waits until ``start``, or for another process."""
        if self._resumes is not None:
            self._resumes.cancel()
            self._resumes = None
        self._loop.remove_reader(self._listening.fileno())

    def close(self, *, accepts_what_waits: bool) -> None:
        """Listen no more.

        Args:
            accepts_what_waits: Whether to accept what is in the backlog first.
        """
        if self._listening.fileno() != -1:
            self.stop()
            if accepts_what_waits:
                self._accept(at_most=BACKLOG)
                self.stop()
            self._listening.close()

    def _accept(self, at_most: int = AT_ONCE) -> None:
        for _ in range(at_most):
            try:
                accepted, _address = self._listening.accept()
                with accepted:
                    accepted.setblocking(False)
                    # Twisted takes a copy of the descriptor.
                    self._reactor.adoptStreamConnection(accepted.fileno(), accepted.family, self._factory)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in FULL:
                    self._rest(error)
                    return
                # Otherwise the client has gone already.

    def _rest(self, error: OSError) -> None:
        logger.error("No connection can be accepted for now: %s", error.strerror)
        self.stop()
        self._resumes = self._loop.call_later(FULL_S, self.start)
