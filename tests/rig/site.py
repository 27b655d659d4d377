"""Chat sites that tests start, each with its own database, serving processes and people.

    site = make_site(backend, processes=2)
    site.processes[0].kill()
    site.processes[0].restart()

Calls that wait block the caller. If a test's clients must keep running meanwhile, use
``await asyncio.to_thread(process.restart)``.
"""

import json
import os
import signal
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from project.settings import env as settings
from tests.rig import leash
from tests.rig.daphne import daphne_flags
from tests.rig.forkserver import ROOT, ForkServer, Process, forks
from tests.rig.ports import free_port, listens, wait_until
from tests.rig.watchdog import MARK

START_S = 60.0
TERMINATE_S = 15.0
CAST = ("ana", "ben", "cleo", "dan", "eve", "olga")
"""The people in every site's database from the start. ``eve`` is always the outsider, ``olga`` a superuser."""
RATES = {
    "CHAT_POST_RATE": "100000",
    "CHAT_POST_BURST": "100000",
    "CHAT_CHANGE_RATE": "100000",
    "CHAT_CHANGE_BURST": "100000",
    "CHAT_READ_RATE": "100000",
    "CHAT_READ_BURST": "100000",
    "CHAT_SYNC_RATE": "100000",
    "CHAT_SYNC_BURST": "100000",
    "CHAT_PAGE_RATE": "100000",
    "CHAT_PAGE_BURST": "100000",
    "CHAT_FRAME_RATE": "100000",
    "CHAT_FRAME_BURST": "100000",
    "CHAT_TEXT_RATE": "1000000000",
    "CHAT_TEXT_BURST": "1000000000",
    "CHAT_HANDSHAKE_RATE": "100000",
    "CHAT_HANDSHAKE_BURST": "100000",
    "CHAT_SOCKET_RATE": "100000",
    "CHAT_SOCKET_BURST": "100000",
    "CHAT_FLOOD_PAUSE_S": "0",
    "CHAT_WAITING_CHANGES": "2000",
    "CHAT_SOCKETS_PER_USER": "10000",
    "CHAT_TOKENS_PER_USER": "10000",
}
"""Limits that are raised so that tests of other subjects do not run into them."""


@dataclass(frozen=True)
class Person:
    name: str
    id: str
    token: str
    session: str
    """The value of the session cookie."""

    @property
    def cookie(self) -> str:
        return f"sessionid={self.session}"


class SiteProcess:
    """One serving process, which keeps its port through restarts."""

    def __init__(self, site: "Site", number: int):
        self.site = site
        self.port = free_port()
        self.log = site.folder / f"server-{number}.log"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/chat/"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def written(self) -> str:
        """Return its log so far, including the log of earlier runs."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def launch(self) -> None:
        """Start the process and return at once; ``wait()`` returns once it listens."""
        assert not self.is_running
        module = self.site.application
        if self.site.daphne_flags is not None:
            flags = [*daphne_flags("127.0.0.1", self.port), *self.site.daphne_flags]
            command = ["-m", "daphne", *flags, module]
        else:
            command = ["manage.py", "serve", "--port", str(self.port), *self.site.options]
        environment = {**self.site.environment, "TEST_APPLICATION": module.replace(":", ".")}
        with self.log.open("ab") as log:
            self._process = forks().start(*command, env=environment, stdout=log, stderr=log)
        leash.hold(self._process.pid)

    def wait(self) -> None:
        """Return once the process accepts connections.

        Raises:
            AssertionError: The process ended instead; the message contains its log.
        """
        wait_until(lambda: listens(self.port) or not self.is_running, f"the server on port {self.port}", START_S)
        assert self.is_running, f"The server ended while starting:\n{self.log.read_text()[-4000:]}"

    def start(self) -> None:
        self.launch()
        self.wait()

    def restart(self) -> None:
        """Kill the process if it runs, start it again, and wait until it listens."""
        if self.is_running:
            self.kill()
        self.start()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit status."""
        return self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Send SIGSTOP: its sockets stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the process if it runs: with SIGTERM, or with SIGKILL if that takes too long."""
        if not self.is_running:
            return
        try:
            self.resume()
            self.terminate()
        except TimeoutError:
            self.kill()

    def _end(self, number: signal.Signals) -> int:
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(timeout=TERMINATE_S)


class Site:
    """A site of one test.

    Args:
        folder: Its ``HEARTH_HOME``, which also holds the logs.
        environment: The environment variables of its processes.
        people: The people who are in the database already.
    """

    application = "tests.rig.asgi:application"
    """What is served."""
    options: tuple[str, ...] = ()
    """More options of ``manage.py serve``."""
    daphne_flags: tuple[str, ...] | None = None
    """Serve with stock daphne in place of ``manage.py serve``, with these flags besides those that the chat needs."""

    def __init__(self, folder: Path, environment: Mapping[str, str], people: Iterable[Person] = ()):
        self.folder = folder
        self.environment = dict(environment)
        self.people = {person.name: person for person in people}
        self.processes: list[SiteProcess] = []
        self._forks: tuple[dict[str, str], ForkServer] | None = None

    @property
    def url(self) -> str:
        """The URL of the first process."""
        return self.processes[0].url

    @property
    def ws_url(self) -> str:
        return self.processes[0].ws_url

    @property
    def database(self) -> str:
        """The name of its database in PostgreSQL, or the path of SQLite's file."""
        return urlsplit(self.environment["DATABASE_URL"]).path[1:]

    def start(self, processes: int = 1) -> None:
        """Start this many more processes in parallel, and wait until all of them listen."""
        added = [SiteProcess(self, len(self.processes) + number) for number in range(processes)]
        self.processes += added
        for process in added:
            process.launch()
        for process in added:
            process.wait()

    def stop(self) -> None:
        for process in self.processes:
            process.stop()
        self._close_forks()

    def user(self, name: str) -> Person:
        """Return the person with this name, who is created if missing."""
        if name not in self.people:
            self.add_people(name)
        return self.people[name]

    def token(self, name: str) -> str:
        return self.user(name).token

    def session_cookie(self, name: str) -> str:
        """Return the ``Cookie`` header of a browser in which this person is signed in."""
        return self.user(name).cookie

    def add_people(self, *names: str) -> list[Person]:
        """Create many people at once, in one process and one transaction."""
        made = [Person(**each) for each in json.loads(self._run("-m", "tests.rig.cast", *names))]
        self.people.update({person.name: person for person in made})
        return made

    def manage(self, *arguments: str) -> str:
        """Run ``manage.py …`` in this site and return its output.

        Raises:
            AssertionError: The command failed; the message contains its output.
        """
        return self._run("manage.py", *arguments)

    def python(self, code: str) -> str:
        """Run ``code`` in a new process with Django set up, and return what it prints."""
        return self._run("-c", "import django; django.setup()\n" + code)

    def log(self) -> str:
        """Return everything that its processes have written to their logs."""
        return "".join(process.written() for process in self.processes)

    def complaints(self) -> str:
        """Return what the watchdog of the event loops has found. It is empty when all is well."""
        return "".join(part for part in _records(self.log()) if MARK in part.partition("\n")[0])

    def _run(self, *arguments: str) -> str:
        if self._forks and self._forks[0] != self.environment:
            self._close_forks()
        if not self._forks:
            started = ForkServer.of_site(self.environment, self.folder / "python.log")
            self._forks = dict(self.environment), started
        return self._forks[1].run(*arguments, env=self.environment)

    def _close_forks(self) -> None:
        if self._forks:
            self._forks[1].close()
            self._forks = None


def environment(home: Path, static_root: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a site, without the caller's own settings. ``SECRET_KEY`` is fixed, so that sites can
    share a template database with its sessions."""
    kept = {name: value for name, value in os.environ.items() if name not in settings.asked}
    return {
        **kept,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "tests.rig.settings",
        "ENV_FILE": os.devnull,
        "HEARTH_HOME": str(home),
        "STATIC_ROOT": str(static_root),
        "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
        **RATES,
        **variables,
    }


def _records(log: str) -> list[str]:
    """Split a log into records with their stacks. A line that starts with a year begins a record."""
    records: list[str] = []
    for line in log.splitlines(keepends=True):
        if line[:2] == "20" or not records:
            records.append(line)
        else:
            records[-1] += line
    return records


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database that nobody has open, including its write-ahead log."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
