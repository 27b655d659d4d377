"""Start the Python processes of sites as forks of one process that has done the imports already.

A third of the time that tests take would otherwise go into the same imports, again and again. ``start()`` and ``run()``
take what follows ``python`` on a command line: ``-m MODULE …``, ``-c CODE`` or ``FILE …``. The fork has an environment,
arguments, streams and an exit status of its own, and ends as any other Python does.

A site has a server of its own for its commands (``ForkServer.of_site``), which has set up Django besides. It is a fork
of the first server.

The servers hold no threads, event loops, connections or, but for those of sites, settings. Each ends with the process
that uses it, even if that one was killed, because its standard input closes then.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from tests.rig.ports import wait_until

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 120.0
WITH_DJANGO = "--with-django"
NUMBER = struct.Struct("i")
IMPORTS = (
    # All that a site needs and that reads no settings. daphne.server would make an event loop.
    *("argparse", "smtplib", "zoneinfo"),
    *("django.contrib.admin", "django.contrib.auth.hashers", "django.contrib.staticfiles.finders"),
    *("django.core.handlers.asgi", "django.core.handlers.wsgi", "django.core.management.commands.migrate"),
    *("django.db.backends.postgresql.base", "django.db.backends.sqlite3.base", "django.db.models"),
    *("django.template.defaulttags", "django.templatetags.i18n", "django.test.signals", "django.views.debug"),
    *("allauth.core.internal.ratelimit", "csp.middleware", "segno", "whitenoise.middleware"),
    *("channels.generic.websocket", "channels.routing", "channels_redis.pubsub", "psycopg_pool", "redis.asyncio"),
    *("autobahn.twisted.websocket", "twisted.internet.posixbase", "twisted.internet.udp", "twisted.web.http"),
    *("chat.conf", "chat.live.feed", "chat.live.flow", "chat.live.hints", "chat.rendering.markdown"),
    *("chat.web.sidebar", "chat.web.timeline_rows", "chat.wire.protocol"),
    *("project.accounts.apps", "project.accounts.setup_code", "project.startup", "tests.rig.watchdog"),
)


class Process:
    """A fork, with the methods of ``subprocess.Popen`` that tests need."""

    def __init__(self, channel: socket.socket):
        self._channel = channel
        self._lock = threading.Lock()
        self._status: int | None = None
        pid = self._next_number()
        assert pid is not None, "The fork server has ended."
        self.pid = pid

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while the process runs."""
        with self._lock:
            if self._status is None:
                self._channel.setblocking(False)
                try:
                    ended = self._next_number()
                except BlockingIOError:
                    return None
                self._status = -signal.SIGKILL if ended is None else ended
                self._channel.close()
            return self._status

    def wait(self, timeout: float) -> int:
        """Return the exit status.

        Raises:
            TimeoutError: The process still runs after ``timeout`` seconds.
        """
        wait_until(lambda: self.poll() is not None, f"Process {self.pid} ends", timeout)
        assert self._status is not None
        return self._status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _next_number(self) -> int | None:
        got = self._channel.recv(NUMBER.size)
        return NUMBER.unpack(got)[0] if got else None


class ForkServer:
    """The side of the tests: it asks the server for processes. Threads may share it."""

    def __init__(self, control: socket.socket):
        self._control = control

    @classmethod
    def of_site(cls, env: Mapping[str, str], log: Path) -> "ForkServer":
        """A server for the commands of one site, whose output at its start goes to ``log``."""
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as file:
            forks().start("-m", __name__, WITH_DJANGO, env=env, stdin=theirs, stdout=file, stderr=file)
        return cls(ours)

    def start(
        self, *arguments: str, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes], stdin: Any = None
    ) -> Process:
        """Start ``python ARGUMENTS`` in the root of the checkout and return at once."""
        ours, theirs = socket.socketpair()
        with theirs, Path(os.devnull).open("rb") as nothing:
            streams = [(stdin or nothing).fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._control, [b"+"], [theirs.fileno(), *streams])
        ours.sendall(json.dumps([arguments, dict(env)]).encode())
        ours.shutdown(socket.SHUT_WR)
        return Process(ours)

    def run(self, *arguments: str, env: Mapping[str, str]) -> str:
        """Run ``python ARGUMENTS`` to its end and return its output.

        Raises:
            AssertionError: It failed; the message contains its output.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self.start(*arguments, env=env, stdout=out, stderr=err)
            try:
                status = process.wait(RUN_S)
            finally:
                process.send_signal(signal.SIGKILL)
            out.seek(0)
            err.seek(0)
            said, complained = out.read().decode(), err.read().decode()
        assert status == 0, f"{' '.join(arguments)}\n{said}{complained}"
        return said

    def close(self) -> None:
        """Let the server end. Its processes go on."""
        self._control.close()


@cache
def forks() -> ForkServer:
    """The server of this process, which knows no settings yet."""
    ours, theirs = socket.socketpair()
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            env={**env, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdin=theirs,
            # Ctrl-C reaches only the tests.
            start_new_session=True,
        )
    return ForkServer(ours)


def serve() -> Sequence[str]:
    """Fork for each request. This returns only in the forks, with the arguments of each."""
    control = socket.socket(fileno=os.dup(0))
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    channels: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            while channels:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                _say(channels.pop(pid), os.waitstatus_to_exitcode(status), last=True)
        if control in ready:
            _, given, _, _ = socket.recv_fds(control, 1, 4)
            if not given:
                os._exit(0)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for mine in (control.detach(), ended, wake, *channels.values()):
                    os.close(mine)
                return _become(*given)
            channels[pid] = given[0]
            for stream in given[1:]:
                os.close(stream)
            _say(given[0], pid)


def _say(channel: int, number: int, *, last: bool = False) -> None:
    with suppress(BrokenPipeError):  # nobody may want to know any more
        os.write(channel, NUMBER.pack(number))
    if last:
        os.close(channel)


def _become(channel: int, *streams: int) -> Sequence[str]:
    """Make this fork a process like any other, and return its arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with socket.socket(fileno=channel) as asked, asked.makefile("rb") as file:
        arguments, env = json.load(file)
    os.environ.clear()
    os.environ.update(env)
    # Shells let what runs in the background ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return arguments  # type: ignore[no-any-return]


def run(first: str, *rest: str) -> None:
    """Do in this process what ``python ARGUMENTS`` does."""
    if first == "-m":
        sys.argv = list(rest)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = [first, *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    if WITH_DJANGO in sys.argv:
        import django

        django.setup()
    else:
        for name in IMPORTS:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # forks need not walk what will live as long as they do
    run(*serve())


if __name__ == "__main__":
    main()
