"""Databases that are created, migrated and filled with people once a session, and copied for each site."""

import json
from functools import cache
from pathlib import Path

from tests.rig.forkserver import forks
from tests.rig.postgres import PostgresServer
from tests.rig.site import CAST, Person, copy_sqlite, environment


class Templates:
    """The template databases and collected static files of one session; each is made on first use.

    Args:
        folder: The folder where this session keeps them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.sqlite = cache(self._sqlite)
        self.postgresql = cache(self._postgresql)
        self.static_root = cache(self._static_root)

    def copy_of_sqlite(self, folder: Path) -> tuple[str, list[Person]]:
        """Copy the database into ``folder``, and return the ``DATABASE_URL`` of the copy and the people in it."""
        people = self.sqlite()
        copy_sqlite(self.folder / "template.sqlite3", folder / "db.sqlite3")
        return f"sqlite:///{folder}/db.sqlite3", people

    def copy_of_postgresql(self, server: PostgresServer) -> tuple[str, list[Person]]:
        """Copy the database, and return the name of the copy and the people in it."""
        template, people = self.postgresql(server)
        return server.create(template=template), people

    def _sqlite(self) -> list[Person]:
        return self._make(f"sqlite:///{self.folder}/template.sqlite3")

    def _postgresql(self, server: PostgresServer) -> tuple[str, list[Person]]:
        name = server.create()
        return name, self._make(server.url(name))

    def _make(self, database_url: str) -> list[Person]:
        home = environment(self.folder, self.folder / "static", DATABASE_URL=database_url)
        return [
            Person(**each) for each in json.loads(forks().run("-m", "tests.rig.cast", "--migrate", *CAST, env=home))
        ]

    def _static_root(self) -> Path:
        root = self.folder / "static"
        home = environment(self.folder, root)
        forks().run("manage.py", "collectstatic", "--no-input", "--verbosity", "0", env=home)
        return root
