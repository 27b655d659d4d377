"""Build the wheel, and install it into a site that uses nothing else of this checkout (tests/host/site)."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rig import leash
from tests.rig.ports import free_port, listens, wait_until

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("chat", "project", "tests", "bench", "pyproject.toml", "README.md", "LICENSE")
"""The files that setuptools sees: more than belong in the wheel, so that a test notices if it takes too much."""
SITE = Path(__file__).parent / "site"
START_S = 60.0
STOP_S = 15.0
PREPARE = """
import json
import django
django.setup()
from django.core.management import call_command
call_command("makemigrations", "people", "shop", verbosity=0)
for database in ("people", "default"):
    call_command("migrate", database=database, verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)

from chat import api
from people.models import Person
from shop.models import Order, OrderAccess
for nick in {everybody!r}:
    Person.objects.create_user(f"{{nick}}@shop.example", nick, "open sesame")
rooms = {{}}
for number, nicks in {accesses!r}.items():
    order = Order.objects.create(number=number, goods="A kettle")
    for nick in nicks:
        person = Person.objects.get(nick=nick)
        OrderAccess.objects.create(order=order, person=person.pk, may_write=nick != "reader")
    rooms[number] = api.room_for(order).pk
print(json.dumps(rooms))
"""
ACCESSES = {7: ["ana", "ben"], 8: ["reader", "cleo"], 9: ["cleo"]}
"""The people with access to each order. ``eve`` has access to none."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy, because setuptools leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "var"))
        else:
            shutil.copy(ROOT / name, tree / name)
    _run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, tree],
        folder,
    )
    return next(folder.glob("*.whl"))


@dataclass(frozen=True)
class Shop:
    """The running foreign site."""

    folder: Path
    python: Path
    environment: dict[str, str]
    port: int
    rooms: dict[str, int]
    """The room about each order, by the number of the order."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/intranet"

    @property
    def log(self) -> Path:
        return self.folder / "daphne.log"

    @property
    def mails(self) -> list[str]:
        return [each.read_text() for each in sorted((self.folder / "mail").glob("*"))]

    def run(self, code: str) -> str:
        """Run the code inside the site and return what it prints."""
        return _run([self.python, "-c", f"import django; django.setup()\n{code}"], self.folder, self.environment)


@pytest.fixture(scope="session")
def shop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The site of tests/host/site in its own virtual environment, with only the wheel and its requirements."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copytree(SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    # Pass on nothing of this checkout: no PYTHONPATH, no settings, no .env.
    environment = {"PATH": os.environ["PATH"], "SHOP_HOME": str(folder), "LANG": "C.UTF-8"}
    environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    _run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    # Use the versions that the other tests pass with. Without --no-compile, compiling modules that are never imported
    # takes half of the time.
    pins = folder / "pins.txt"
    # Remove the hashes: with them, pip would require a hash of the wheel too.
    pins.write_text(re.sub(r" \\\n.*--hash.*", "", (ROOT / "requirements.txt").read_text()))
    install = ["install", "--quiet", "--no-compile", "--no-input", "-c", pins, f"{wheel}[server]"]
    _run([sys.executable, "-m", "pip", "--python", python, *install], folder)
    everybody = [*{nick for nicks in ACCESSES.values() for nick in nicks}, "eve"]
    prepare = PREPARE.format(everybody=everybody, accesses=ACCESSES)
    rooms = json.loads(_run([python, "-c", prepare], folder, environment).splitlines()[-1])
    site = Shop(folder, python, environment, free_port(), rooms)
    with site.log.open("wb") as log:
        command = [folder / "venv" / "bin" / "daphne", "-b", "127.0.0.1", "-p", str(site.port), "shop.asgi:application"]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    leash.hold(process.pid)
    try:
        wait_until(lambda: listens(site.port) or process.poll() is not None, "the shop", START_S)
        assert process.poll() is None, site.log.read_text()[-4000:]
        yield site
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(STOP_S)


def _run(command: list[str | Path], folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
