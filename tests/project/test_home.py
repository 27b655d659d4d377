"""Files that the site makes below HEARTH_HOME are private to its account; other files there keep their modes."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rig.site import environment

ROOT = Path(__file__).resolve().parents[2]
PREPARE = ("-m", "project.serve", "--prepare")
CHECK = ("manage.py", "check")


def run(home: Path, *command: str, umask: int = 0o022, **variables: str) -> None:
    fresh = environment(home, home / "static", DJANGO_SETTINGS_MODULE="project.settings")
    fresh |= {"SECRET_KEY": "", **variables}
    done = subprocess.run(
        [sys.executable, *command], env=fresh, cwd=ROOT, umask=umask, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def modes(folder: Path) -> dict[str, str]:
    """The mode of the folder and of everything in it."""
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in (folder, *folder.rglob("*"))
    }


def assert_closed(folder: Path) -> None:
    for name, mode in modes(folder).items():
        assert mode == ("0o700" if (folder / name).is_dir() else "0o600"), name


def open_up(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_everything_that_the_site_makes_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "var"
    run(home, *PREPARE, umask=umask)
    assert {"key", "db.sqlite3", "static"} <= modes(home).keys()
    assert list((home / "static").rglob("*.gz")), "compressed copies, which the storage gives no mode"
    # A process that is killed leaves these files of SQLite behind.
    hold = "import os, signal; from django.contrib.auth.models import User; User.objects.create(username='ana'); "
    with pytest.raises(AssertionError):
        run(home, "-c", f"import django; django.setup(); {hold} os.kill(os.getpid(), signal.SIGKILL)", umask=umask)
    assert {"db.sqlite3-wal", "db.sqlite3-shm"} <= modes(home).keys()
    assert_closed(home)


def test_an_older_folder_is_made_private_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "var"
    run(home, *PREPARE)
    for name in ("db.sqlite3-wal", "db.sqlite3-shm"):
        (home / name).touch()
    open_up(home)
    run(home, *CHECK)
    assert_closed(home)


def test_a_database_with_another_name_is_private_too(tmp_path: Path) -> None:
    home = tmp_path / "var"
    run(home, *PREPARE, umask=0, DATABASE_URL="sqlite:///chat.sqlite3")
    assert (home / "chat.sqlite3").stat().st_size > 0
    assert_closed(home)


def test_a_folder_with_other_files_keeps_its_mode_but_our_files_in_it_are_made_private(tmp_path: Path) -> None:
    home = tmp_path / "ana"
    home.mkdir()
    (home / "static").mkdir()
    for theirs in ("notes.txt", "static/page.html"):
        (home / theirs).write_text("mine")
    open_up(home)
    run(home, *CHECK)
    found = modes(home)
    assert (found["."], found["notes.txt"], found["static"], found["static/page.html"]) == (
        *("0o777", "0o666", "0o777", "0o666"),
    )
    assert (found["key"], found["db.sqlite3"]) == ("0o600", "0o600")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    home, outside = tmp_path / "var", tmp_path / "outside"
    outside.mkdir()
    (outside / "chat.sqlite3").touch()
    (outside / "page.html").touch()
    home.mkdir()
    (home / "static").symlink_to(outside)
    (home / "db.sqlite3").symlink_to(outside / "chat.sqlite3")
    open_up(outside)
    run(home, *CHECK)
    assert modes(outside) == {".": "0o777", "chat.sqlite3": "0o666", "page.html": "0o666"}


def test_static_files_outside_can_be_read_by_a_web_server(tmp_path: Path) -> None:
    home, served = tmp_path / "var", tmp_path / "served"
    served.mkdir()
    served.chmod(0o755)
    run(home, *PREPARE, umask=0o077, STATIC_ROOT=str(served))
    assert set(modes(served).values()) == {"0o755", "0o644"}
    assert_closed(home)
