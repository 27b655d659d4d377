"""``make run`` once .venv is ready: bring the database and static files up to date, then serve.

``python -m project.serve --prepare`` stops before serving. The server runs in this process, so that a second start is
quick and Ctrl-C reaches it.
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

from chat.server import serving
from chat.server.listening import CannotListen
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
        sys.exit(serve(runs))
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


def serve(runs: threading.Event) -> int:
    """Serve until the process is told to end. ``runs`` is set once it handles signals."""
    try:
        return serving.serve(serving.Options(places=serving.places()), on_ready=runs.set)
    except (serving.InvalidOption, CannotListen) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
