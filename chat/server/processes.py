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

from chat.server import systemd
from chat.server.listening import shown

logger = logging.getLogger(__name__)

READY = b"ready"
READY_S = 60.0
"""How long a new process may take to begin, in a renewal, before the old one is kept."""
ENDED_S = 20.0
"""How long a process may take to end before it is killed."""
SHORT_S = 10.0
"""A process that lived less than this is started again only after a pause, which doubles."""
PAUSE_S, PAUSE_AT_MOST_S = 0.5, 30.0
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)


@dataclass
class _Child:
    process: asyncio.subprocess.Process
    line: socket.socket
    began: float

    async def is_ready(self) -> bool:
        """Wait until it serves; False if it has ended, or takes too long."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(READY_S):
                if await loop.sock_recv(self.line, len(READY)) == READY:
                    return True
                await self.process.wait()
        except (TimeoutError, OSError):
            pass
        return False

    def signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self) -> None:
        """Let it drain, and wait until it is gone."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), ENDED_S)
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
        for number in PASSED_ON:
            loop.add_signal_handler(number, self._pass_on, number)
        tasks = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]
        renewals: set[asyncio.Task[None]] = set()

        def renew() -> None:
            renewals.add(task := asyncio.create_task(self._renew()))
            task.add_done_callback(renewals.discard)

        loop.add_signal_handler(signal.SIGHUP, renew)
        await self._ends.wait()
        for each in [*tasks, *renewals]:
            each.cancel()
        await asyncio.gather(*(each.end() for each in self._children.values()))
        return self._status

    def _end(self) -> None:
        if self._ends.is_set():  # told twice
            self._pass_on(signal.SIGINT)
        self._ends.set()

    def _pass_on(self, number: signal.Signals) -> None:
        for each in self._children.values():
            each.signal(number)

    async def _keep(self, slot: int) -> None:
        """Keep one process running."""
        loop = asyncio.get_running_loop()
        pause_s = PAUSE_S
        is_first = True
        while True:
            child = self._children[slot] = await self._start()
            if await child.is_ready():
                self._told_ready(slot)
            elif is_first and (child.process.returncode or 0) > 0:
                # It could not begin, and has said why. So could none of them. (A signal is no reason of its own.)
                self._status = child.process.returncode or 1
                self._ends.set()
                return
            is_first = False
            while child.process.returncode is None:
                await child.process.wait()
                child = self._children[slot]  # a renewal has put another one there
            logger.error("Process %d has ended (%s), and is started again", child.process.pid, child.process.returncode)
            child.line.close()
            pause_s = PAUSE_S if loop.time() - child.began > SHORT_S else min(2 * pause_s, PAUSE_AT_MOST_S)
            await asyncio.sleep(pause_s)

    def _told_ready(self, slot: int) -> None:
        self._ready.add(slot)
        if len(self._ready) == self._count and self._on_ready is not None:
            systemd.notify("READY=1")
            self._on_ready()
            self._on_ready = None

    async def _renew(self) -> None:
        """Replace the processes one by one, each by one that is ready."""
        async with self._renewing:
            for slot in range(self._count):
                old, new = self._children[slot], await self._start()
                if not await new.is_ready():
                    logger.error("Process %d can't begin; the old ones are kept", new.process.pid)
                    await new.end()
                    return
                self._children[slot] = new
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
