"""The servers under measurement: each is pinned to one core, read through /proc and stopped at the end."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.rig.daphne import daphne_flags
from tests.rig.ports import free_port, listens, wait_until
from tests.rig.postgres import PostgresServer
from tests.rig.redis_server import RedisServer
from tests.rig.site import ROOT, Site, environment
from tests.rig.templates import Templates

SERVER_CORE, GENERATOR_CORE = 0, 1
START_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """One server process, alone on its core.

    Args:
        name: Its name in the tables.
        command: The command line, with ``PORT`` in place of the port.
    """

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], folder: Path):
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name.replace(' ', '-').replace('/', '-')}-{self.port}.log"
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process and return once it accepts connections."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        # Pin the process before it starts threads, which inherit its core.
        os.sched_setaffinity(process.pid, {SERVER_CORE})
        self._process = process
        wait_until(lambda: listens(self.port) or process.poll() is not None, self.name, START_S)
        if process.poll() is not None:
            raise RuntimeError(f"{self.name} ended while starting:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """End the process with SIGKILL."""
        assert self._process
        self._process.kill()
        self._process.wait(timeout=10)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()

    @property
    def cpu_s(self) -> float:
        """CPU seconds used by all of its threads, as the operating system counts them (in steps of 10 ms)."""
        assert self._process
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def rss_kib(self) -> int:
        """Resident memory of the process."""
        assert self._process
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError(f"{self.name} has ended.")

    @property
    def path(self) -> str:
        """The path of its WebSocket."""
        return "/ws/chat/lobby/"

    def headers(self, person: str) -> dict[str, str]:
        """The headers that sign ``person`` in. The peers have no sign-in."""
        return {}


class Ours(Server):
    """The site as ``manage.py serve`` serves it, with the people of ``site``."""

    def __init__(self, name: str, site: Site):
        command = [sys.executable, "manage.py", "serve", "--port", "PORT"]
        super().__init__(name, command, {**site.environment, "DJANGO_SETTINGS_MODULE": "project.settings"}, site.folder)
        self.site = site

    @property
    def path(self) -> str:
        return "/ws/chat/"

    def headers(self, person: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.site.people[person].token}"}


class Stand:
    """The databases, Redis and servers of a run: each is started when first needed and stopped with the run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._templates = Templates(folder)
        self._postgres: PostgresServer | None = None
        self._redis: RedisServer | None = None
        self._sites = 0

    @contextmanager
    def ours(self, database: str, *, redis: bool = False, people: int = 0) -> Iterator[Ours]:
        """Run our site with the people ``p0`` … ``p<people - 1>``."""
        self._sites += 1
        home = self.folder / f"site-{self._sites}"
        home.mkdir()
        variables = {"REDIS_PREFIX": home.name, "LOG_LEVEL": "WARNING"}
        drop = None
        if database == "postgresql":
            name, known = self._templates.copy_of_postgresql(self.postgres)
            variables["DATABASE_URL"], drop = self.postgres.url(name), name
        else:
            variables["DATABASE_URL"], known = self._templates.copy_of_sqlite(home)
        if redis:
            variables["REDIS_URL"] = self.redis.url
        site = Site(home, environment(home, self._templates.static_root(), **variables), known)
        if people:
            site.add_people(*(f"p{number}" for number in range(people)))
        server = Ours("ours", site)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            if drop:
                self.postgres.drop(drop)

    @contextmanager
    def channels_peer(
        self, name: str, module: str, *, database: str | None = None, redis: bool = False
    ) -> Iterator[Server]:
        """Run a Channels application of bench/peers on stock daphne, with the flags that the chat needs there."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "bench.peers.settings"}
        env.pop("DATABASE_URL", None)
        env.pop("REDIS_URL", None)
        drop = None
        if database == "postgresql":
            drop = self.postgres.create()
            env["DATABASE_URL"] = self.postgres.url(drop)
        elif database:
            env["DATABASE_URL"] = f"sqlite:///{self.folder}/peer-{free_port()}.sqlite3"
        if redis:
            env["REDIS_URL"] = self.redis.url
        if database:
            make_table = (
                "import django; django.setup()\n"
                "from django.db import connection\n"
                "from bench.peers.posts.models import Post\n"
                "with connection.schema_editor() as editor: editor.create_model(Post)"
            )
            subprocess.run([sys.executable, "-c", make_table], cwd=ROOT, env=env, check=True, timeout=60)
        command = [sys.executable, "-m", "daphne", *daphne_flags("127.0.0.1", 0), f"bench.peers.{module}:application"]
        command[command.index("--port") + 1] = "PORT"
        server = Server(name, command, env, self.folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            if drop:
                self.postgres.drop(drop)

    @contextmanager
    def broadcast_peer(self, name: str) -> Iterator[Server]:
        """Run the server that uses the websockets library alone."""
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        server = Server(name, [sys.executable, "-m", "bench.peers.broadcast", "PORT"], env, self.folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()

    @property
    def postgres(self) -> PostgresServer:
        if not self._postgres:
            self._postgres = PostgresServer()
            self._postgres.start()
        return self._postgres

    @property
    def redis(self) -> RedisServer:
        if not self._redis:
            self._redis = RedisServer(self.folder / "redis")
            self._redis.start()
        return self._redis

    def close(self) -> None:
        if self._redis:
            self._redis.stop()
        if self._postgres:
            self._postgres.remove()
