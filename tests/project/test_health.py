"""``/healthz`` and ``/readyz``: the answer when all is well, and how soon they report a failure."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.backends.signals import connection_created
from django.test import AsyncClient, Client

from project import health
from project.accounts.models import CacheEntry
from tests.rig.factory import SiteFactory
from tests.rig.four import Backend
from tests.rig.postgres import PostgresServer
from tests.rig.proxy import Proxy
from tests.rig.redis_server import RedisServer

BOUND_S = 3.0


def probe(url: str) -> tuple[int, Any, float]:
    started = time.monotonic()
    request = urllib.request.Request(url, headers={"Host": "10.1.2.3"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    return status, json.loads(body), time.monotonic() - started


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", False)
    monkeypatch.setattr(health, "_write_again_at", 0.0)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_gets_past_host_https_and_sessions(
    path: str, settings: Any, transactional_db: None, fresh: None, client: Client
) -> None:
    settings.SECURE_SSL_REDIRECT, settings.ALLOWED_HOSTS = True, ["chat.example.com"]
    answer = client.get(path, headers={"Host": "10.1.2.3"})
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert answer.json()["status"] == "ok"
    assert not answer.cookies
    assert client.post(path, headers={"Host": "10.1.2.3"}).status_code == 405
    assert client.get(path + "/x", headers={"Host": "10.1.2.3"}).status_code == 400


async def test_healthz_does_not_query_the_database() -> None:
    # No database fixture: pytest-django refuses any query.
    answer = await AsyncClient().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_site_with_missing_migrations_is_not_ready(transactional_db: None, fresh: None, client: Client) -> None:
    with patch.object(health.MigrationExecutor, "migration_plan", return_value=["one"]):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"status": "unavailable", "database": "not migrated", "redis": "none", "waiting_s": 0.0},
    )
    assert client.get("/readyz").status_code == 200
    with patch.object(health.MigrationExecutor, "migration_plan", side_effect=AssertionError):
        assert client.get("/readyz").status_code == 200, "that it is migrated is not asked again"


@pytest.fixture
def limits() -> Iterator[list[str]]:
    """Pragmas that each new SQLite connection runs first. The probe opens its own connection."""
    pragmas: list[str] = []

    def tell(connection: Any, **_: Any) -> None:
        for pragma in pragmas:
            connection.cursor().execute(pragma)

    connection_created.connect(tell)
    yield pragmas
    connection_created.disconnect(tell)


@pytest.mark.parametrize("limit", ["PRAGMA query_only = 1", "PRAGMA max_page_count = 1"], ids=["read-only", "full"])
def test_a_site_whose_database_cannot_be_written_is_not_ready(
    transactional_db: None, fresh: None, client: Client, limits: list[str], limit: str
) -> None:
    connection.cursor().execute("VACUUM")  # leave no free space from deleted rows
    limits.append(limit)
    for _ in range(2):
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "unavailable", "database": "not writable", "redis": "none", "waiting_s": 0.0},
        )
    limits.clear()
    assert client.get("/readyz").status_code == 200, "it looks again as soon as it is asked"
    assert not CacheEntry.objects.exclude(value="").exists(), "nothing large stays"


def test_probes_write_no_more_often_than_every_ten_seconds(
    transactional_db: None, fresh: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with patch.object(health, "_write") as written:
        for _ in range(5):
            assert client.get("/readyz").status_code == 200
        assert written.call_count == 1
        monkeypatch.setattr(health, "_write_again_at", time.monotonic())
        client.get("/readyz")
        assert written.call_count == 2


@pytest.mark.parametrize("backend", [Backend("postgresql", "redis")], ids=str)
def test_a_service_that_is_down_or_hangs_is_reported_in_time(
    make_site: SiteFactory, postgres: PostgresServer, redis_server: RedisServer, backend: Backend
) -> None:
    with Proxy(postgres.port) as way:
        site = make_site(backend, database_port=way.port)
        ready, alive = f"{site.url}/readyz", f"{site.url}/healthz"
        status, body, _ = probe(ready)
        assert (status, body) == (200, {"status": "ok", "database": "ok", "redis": "ok", "waiting_s": 0.0})

        redis_server.pause()
        status, body, took_s = probe(ready)
        assert (status, body) == (
            200,
            {"status": "degraded", "database": "ok", "redis": "unavailable", "waiting_s": 0.0},
        )
        assert took_s < BOUND_S
        redis_server.resume()

        for fail, mend, probes in ((way.pause, way.resume, 2), (way.refuse, way.accept, 1)):
            fail()
            for _ in range(probes):
                status, body, took_s = probe(ready)
                assert (status, body["status"], body["database"]) == (503, "unavailable", "unavailable")
                assert took_s < BOUND_S
                assert probe(alive)[0] == 200
            mend()
            deadline = time.monotonic() + 20
            while probe(ready)[0] != 200:
                assert time.monotonic() < deadline, "it comes back with the database"
        assert str(postgres.port) not in json.dumps(body), "a probe may be anybody"
