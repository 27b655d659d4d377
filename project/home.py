"""Make what the site stores below ``HEARTH_HOME`` private to its user, whatever the umask is.

Nothing else is touched: a folder with other people's files in it (``/``, a home directory) keeps its mode, and so do
symbolic links and everything outside, such as a ``STATIC_ROOT`` that a web server reads.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o600
BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")
OURS = {"key", "static", "lost+found", *(f"db.sqlite3{end}" for end in BESIDE_DATABASE)}
PASSING = (".key-", ".writable-")
"""Prefixes of temporary files that a starting process makes and removes again (project/env.py)."""


def close(home: Path, *, default: Path, database: Path | None) -> bool:
    """Remove the rights of other users from the folder and our files in it, and return whether the folder is ours.

    It is ours if it is ``default``, the folder of this checkout, or contains only files that the site has made.

    Args:
        database: The file of SQLite. It is created here if missing, because SQLite would apply the umask to it and to
            its ``-wal``.
    """
    files = [home / "key"]
    if database and (database := database.resolve()).is_relative_to(home):
        if not database.exists():
            with suppress(OSError):  # opening the database reports what is wrong
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
    # The file may belong to somebody else, or may have been removed in the meantime.
    with suppress(PermissionError, FileNotFoundError):
        mode = path.lstat().st_mode
        allowed = FOLDER if stat.S_ISDIR(mode) else FILE
        if not stat.S_ISLNK(mode) and mode & 0o777 & ~allowed:
            path.chmod(mode & allowed)
