"""Start the sites of one test or session, and stop them at its end."""

from collections.abc import Callable
from pathlib import Path

from tests.rig.four import BACKENDS, Backend
from tests.rig.postgres import PostgresServer
from tests.rig.redis_server import RedisServer
from tests.rig.site import Site, environment
from tests.rig.templates import Templates


class SiteFactory:
    """Starts a site at each call.

    Args:
        postgres, redis: Return the running server. They are called only when a site needs it.
    """

    def __init__(
        self,
        folder: Path,
        templates: Templates,
        postgres: Callable[[], PostgresServer],
        redis: Callable[[], RedisServer],
    ):
        self.sites: list[Site] = []
        self._folder = folder
        self._templates = templates
        self._postgres = postgres
        self._redis = redis
        self._drops: list[Callable[[], None]] = []

    def __call__(
        self,
        backend: Backend = BACKENDS[0],
        *,
        processes: int = 1,
        env: dict[str, str] | None = None,
        database_port: int | None = None,
        redis_port: int | None = None,
        postgres: PostgresServer | None = None,
    ) -> Site:
        """Start a site with this many processes and return it. With 0, nothing is served yet.

        Args:
            backend: The default is SQLite with the in-memory layer.
            database_port, redis_port: The ports of proxies in front of PostgreSQL and Redis, if there are any.
        """
        home = self._folder / f"site-{len(self.sites)}"
        home.mkdir()
        variables = {"REDIS_PREFIX": f"{self._folder.name}-{home.name}"}
        if backend.database == "postgresql":
            server = postgres or self._postgres()
            name, people = self._templates.copy_of_postgresql(server)
            if postgres is None:
                self._drops.append(lambda: server.drop(name))
            variables["DATABASE_URL"] = server.url(name, database_port)
        else:
            variables["DATABASE_URL"], people = self._templates.copy_of_sqlite(home)
        if backend.layer == "redis":
            variables["REDIS_URL"] = f"redis://127.0.0.1:{redis_port or self._redis().port}/0"
        site = Site(home, environment(home, self._templates.static_root(), **variables, **(env or {})), people)
        self.sites.append(site)
        site.start(processes)
        return site

    def stop(self) -> str:
        """Stop the sites, and return what the watchdog of their event loops has found."""
        for site in self.sites:
            site.stop()
        for drop in self._drops:
            drop()
        return "".join(site.complaints() for site in self.sites)
