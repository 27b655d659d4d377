"""``make run`` once .venv is ready: bring the database and static files up to date, then serve with daphne.

``python -m project.serve --prepare`` stops before serving. daphne's command line runs in this process, with
``project.asgi:application``, so that a second start is quick and Ctrl-C reaches it.
"""

import hashlib
import os
import socket
import sys
import threading
import time
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from chat.conf import conf
from project import startup
from project.env import Misconfigured, shown

ANNOUNCE_WITHIN_S = 60.0


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        django.setup()
        startup.check_database()
        migrate()
        collect_static()
        if "--prepare" in sys.argv:
            return
        for url, error in startup.unreachable_redis():
            raise Misconfigured("REDIS_URL", f"{shown(url)} does not answer: {error}.")
        hint = startup.first_run_hint(address())
        connection.close()
        startup.tells_of_first_run = False  # announce() prints the hint; do not log it as well
        runs = threading.Event()
        threading.Thread(target=announce, args=(hint, runs), daemon=True).start()
        serve(runs)
    except KeyboardInterrupt:
        sys.exit(130)


def migrate() -> None:
    """Apply missing migrations. Print nothing if there are none."""
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    print("Preparing the database …", flush=True)
    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise Misconfigured("DATABASE_URL", f"migrating failed: {' '.join(str(error).split())}") from None


def collect_static() -> None:
    """Collect static files, unless that was already done for exactly these files."""
    stamp, now = Path(settings.STATIC_ROOT) / ".collected", _static_files()
    if stamp.is_file() and stamp.read_text() == now:
        return
    print("Collecting static files …", flush=True)
    # The storage sets the modes of the files, but the compressed copies and the stamp depend on the umask.
    umask = os.umask(0o077 if settings.STATIC_IS_PRIVATE else 0o022)
    try:
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(now)
    except (OSError, ValueError, CommandError) as error:
        sys.exit(f"The static files can't be collected to {settings.STATIC_ROOT}: {error}")
    finally:
        os.umask(umask)


def _static_files() -> str:
    """A digest that changes with the source files, with their location and with the storage."""
    digest = hashlib.sha256(repr((settings.STORAGES["staticfiles"], settings.STATIC_URL)).encode())
    for finder in get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            found = Path(storage.path(name)).stat()
            digest.update(f"{storage.path(name)}\0{found.st_mtime_ns}\0{found.st_size}\0".encode())
    return digest.hexdigest()


def address() -> str:
    """The site's URL for a browser on this machine."""
    host = reachable_host()
    return f"http://[{host}]:{settings.PORT}" if ":" in host else f"http://{host}:{settings.PORT}"


def reachable_host() -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104


def announce(hint: str, runs: threading.Event) -> None:
    """Print the site's URL once the server accepts connections and ``runs``, so that Ctrl-C ends it.

    The port takes connections a little earlier, and a Ctrl-C in between would be lost.
    """
    runs.wait(ANNOUNCE_WITHIN_S)
    deadline = time.monotonic() + ANNOUNCE_WITHIN_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection((reachable_host(), settings.PORT), timeout=1).close()
        except OSError:
            time.sleep(0.02)
            continue
        print(f"Hearth is ready: {address()} (Ctrl-C ends it)", flush=True)
        if hint:
            print(hint, flush=True)
        return


def daphne_flags(host: str, port: int) -> list[str]:
    """The flags with which daphne must run for this chat.

    Sockets may live for ever, because the chat has its own heartbeat. The handshake may take a minute, for times when
    everybody reconnects at once. Frames may have four times the size that the chat accepts, so that a frame that is
    too long gets an error reply instead of a closed socket.
    """
    frame = str(4 * conf.frame_bytes)
    return [
        *("--bind", host, "--port", str(port), "--verbosity", "0", "--no-server-name"),
        *("--websocket_timeout", "-1", "--websocket_connect_timeout", "60"),
        *("--ping-interval", "20", "--ping-timeout", "30", "--application-close-timeout", "10"),
        *("--websocket-max-message-size", frame, "--websocket-max-frame-size", frame),
    ]


def serve(runs: threading.Event) -> None:
    """Run daphne until it is told to stop. ``runs`` is set once it handles signals."""
    from daphne.cli import CommandLineInterface  # here, because it installs Twisted's reactor
    from twisted.internet import reactor

    reactor.callWhenRunning(runs.set)
    CommandLineInterface().run([*daphne_flags(settings.HOST, settings.PORT), "project.asgi:application"])


if __name__ == "__main__":
    main()
