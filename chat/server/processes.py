"""Several server processes on the same listening sockets: started, started again when they die, renewed one by one.

This process only keeps them. Each is a new interpreter, so that a renewal brings new code, and is connected to this one
by a pair of sockets: over it a child says that it is ready, and sees that its parent is gone.
"""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chat.conf import conf
from chat.server import systemd
from chat.server.listening import shown

logger = logging.getLogger(__name__)

READY = b"ready"
READY_S = 60.0
"""How long a new process may take to begin, in a renewal, before the old one is kept."""
ENDED_S = 13.0
"""How much longer than its clients are spread a process may take to end before it is killed."""
SHORT_S = 10.0
"""A process that lived less than this is started again only after a pause, which doubles."""
PAUSE_S, PAUSE_AT_MOST_S = 0.5, 30.0


@dataclass
class _Child:
    process: asyncio.subprocess.Process
    line: socket.socket
    began: float
    serves: bool = False
    """Whether it has begun, and so has handlers for signals."""

    async def is_ready(self, within_s: float | None = None) -> bool:
        """Wait until it serves; False if it has ended, or takes longer than ``within_s``."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                if await loop.sock_recv(self.line, len(READY)) == READY:
                    self.serves = True
                else:
                    await self.process.wait()
        except (TimeoutError, OSError):
            pass
        return self.serves

    def signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self) -> None:
        """Let it drain, and wait until it is gone."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), conf.server_drain_s + ENDED_S)
        except TimeoutError:
            logger.error("Process %d does not end, and is killed", self.process.pid)
            self.signal(signal.SIGKILL)
            await self.process.wait()


class Processes:
    """Keeps ``count`` processes that serve on ``sockets``.

    Args:
        arguments: Of ``manage.py serve``, for each of them, without those that say where to listen.
        on_ready: Called once all of them serve.
    """

    def __init__(self, sockets: list[socket.socket], count: int, arguments: list[str], on_ready: Callable[[], None]):
        self._sockets = sockets
        self._count = count
        self._arguments = arguments
        self._children: dict[int, _Child] = {}
        self._coming: _Child | None = None
        """The process that is to replace one of them."""
        self._accepts = True
        self._ends = asyncio.Event()
        self._status = 0
        self._renewing = asyncio.Lock()
        self._ready: set[int] = set()
        self._on_ready: Callable[[], None] | None = on_ready

    async def run(self) -> int:
        """Serve until SIGTERM or SIGINT, and return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGUSR1, self._accept, False)
        loop.add_signal_handler(signal.SIGUSR2, self._accept, True)
        tasks = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]
        renewals: set[asyncio.Task[None]] = set()

        def renew() -> None:
            renewals.add(task := asyncio.create_task(self._renew()))
            task.add_done_callback(renewals.discard)

        loop.add_signal_handler(signal.SIGHUP, renew)
        await self._ends.wait()
        for each in self._sockets:
            each.close()  # or the kernel would go on taking connections that nobody accepts
        for task in [*tasks, *renewals]:
            task.cancel()
        await asyncio.gather(*(each.end() for each in self._all()))
        return self._status

    def _all(self) -> list[_Child]:
        return [*self._children.values(), *([self._coming] if self._coming else [])]

    def _end(self) -> None:
        if self._ends.is_set():  # told twice
            self._signal(signal.SIGINT)
        self._ends.set()

    def _accept(self, does: bool) -> None:
        self._accepts = does
        self._signal(signal.SIGUSR2 if does else signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        for each in self._all():
            if each.serves:
                each.signal(number)

    async def _keep(self, slot: int) -> None:
        """Keep one process running."""
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_S
        is_first = True
        while True:
            began = loop.time()
            try:
                child = self._children[slot] = await self._start()
            except OSError as error:
                logger.error("A process can't be started: %s", error.strerror)
            else:
                if await child.is_ready():
                    self._has_begun(slot, child)
                elif is_first and (child.process.returncode or 0) > 0:
                    # It could not begin, and has said why. So could none of them. (A signal is no reason of its own.)
                    self._status = child.process.returncode or 1
                    self._ends.set()
                    return
                is_first = False
                while (child := self._children[slot]).process.returncode is None:  # a renewal puts another one there
                    await child.process.wait()
                logger.error(
                    "Process %d has ended (%s); another is started", child.process.pid, child.process.returncode
                )
                child.line.close()
                began = child.began
            pause_s = PAUSE_S if loop.time() - began > SHORT_S else min(2 * pause_s, PAUSE_AT_MOST_S)
            await asyncio.sleep(pause_s)

    def _has_begun(self, slot: int, child: _Child) -> None:
        if not self._accepts:
            child.signal(signal.SIGUSR1)
        self._ready.add(slot)
        if len(self._ready) == self._count and self._on_ready is not None:
            systemd.notify("READY=1")
            self._on_ready()
            self._on_ready = None

    async def _renew(self) -> None:
        """Replace the processes one by one, each by one that is ready."""
        async with self._renewing:
            for slot in sorted(self._children):
                try:
                    new = self._coming = await self._start()
                except OSError as error:
                    logger.error("A process can't be started, and the old ones are kept: %s", error.strerror)
                    return
                if not await new.is_ready(READY_S):
                    logger.error("Process %d can't begin, and the old ones are kept", new.process.pid)
                    await new.end()
                    self._coming = None
                    return
                old = self._children[slot]
                self._children[slot], self._coming = new, None
                self._has_begun(slot, new)
                await old.end()
                old.line.close()

    async def _start(self) -> _Child:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        descriptors = [each.fileno() for each in self._sockets]
        with theirs:
            command = [sys.executable, "-m", "django", "serve", *self._arguments, "--parent", str(theirs.fileno())]
            for each in descriptors:
                command += ["--fd", str(each)]
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(each or str(Path.cwd()) for each in sys.path)},
                pass_fds=[*descriptors, theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process, which tells them
            )
        return _Child(process, ours, asyncio.get_running_loop().time())


def serve(
    sockets: list[socket.socket], count: int, arguments: list[str], on_ready: Callable[[], None] | None = None
) -> int:
    """Keep ``count`` processes until this one is told to end; return the exit status."""
    logger.info("%d processes serve on %s", count, ", ".join(map(shown, sockets)))
    return asyncio.run(Processes(sockets, count, arguments, on_ready or (lambda: None)).run())
