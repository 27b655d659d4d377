"""Keeps what the site stores below ``HEARTH_HOME`` from other users of the machine, whatever umask started it.

Nothing else is touched: a folder that holds more than ours (``/``, somebody's home) keeps its mode, and so do links
and whatever lies outside, such as a ``STATIC_ROOT`` that a web server reads.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o600
BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")
OURS = {"key", "static", "lost+found", *(f"db.sqlite3{end}" for end in BESIDE_DATABASE)}
PASSING = (".key-", ".writable-")
"""What a process that starts at this moment makes and removes again (project/env.py)."""


def close(home: Path, *, default: Path, database: Path | None) -> bool:
    """Take from others every right to the folder and to the files in it that are ours; whether the folder is ours.

    It is if it is ``default``, the checkout's own, or holds nothing that the site has not made.

    Args:
        database: SQLite's file. It is made if need be: SQLite itself would make it, with its -wal, as the umask says.
    """
    files = [home / "key"]
    if database and (database := database.resolve()).is_relative_to(home):
        if not database.exists():
            with suppress(OSError):  # what is wrong with it is said when it is opened
                database.touch(mode=FILE)
        files += [database.with_name(database.name + end) for end in BESIDE_DATABASE]
    known = OURS | {path.name for path in files if path.parent == home}
    held = [path.name for path in home.iterdir()]
    is_ours = home == default or all(name in known or name.startswith(PASSING) for name in held)
    if is_ours:
        _limit(home)
        static = home / "static"
        for folder, _folders, names in os.walk(static) if not static.is_symlink() else ():
            files += [Path(folder), *(Path(folder, name) for name in names)]
    for path in files:
        _limit(path)
    return is_ours


def _limit(path: Path) -> None:
    # Somebody else's file, or one that has gone meanwhile.
    with suppress(PermissionError, FileNotFoundError):
        mode = path.lstat().st_mode
        allowed = FOLDER if stat.S_ISDIR(mode) else FILE
        if not stat.S_ISLNK(mode) and mode & 0o777 & ~allowed:
            path.chmod(mode & allowed)
