"""Health checks for load balancers and supervisors: ``/healthz`` if the process is alive, ``/readyz`` if it can work.

This is the first middleware, and not a view: a probe uses an IP address and plain HTTP, and must get past the check of
the host, the redirect to HTTPS, sessions and the set-up. The answers reveal nothing private.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

import redis
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.accounts.models import CacheEntry

ANSWER_WITHIN_S = 2.0
"""Probes rarely have a shorter time-out. A check without an answer by then counts as unavailable."""
REDIS_WITHIN_S = 1.0
WRITE_WITHIN_S = 1.5
WRITE_EVERY_S = 10.0
"""How long a successful write counts. Each costs a commit, 1 to 10 ms of disk time."""
PROBE, LARGE = "readyz", 16_384

View = Callable[[HttpRequest], Any]


class Check:
    """A check that may hang. It runs in its own thread, and at most once at a time, however many probes wait for it.

    The thread is a daemon, so that the process can end while it hangs.
    """

    def __init__(self, look: Callable[[], str]):
        self._look = look
        self._lock = threading.Lock()
        self._running: Future[str] | None = None

    def start(self) -> "Future[str]":
        """Return the future of the running check, or of a new one. Its result is a word for the response."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                threading.Thread(target=self._run, args=(self._running,), name="health", daemon=True).start()
            return self._running

    def _run(self, future: "Future[str]") -> None:
        try:
            word = self._look()
        except Exception:
            word = "unavailable"  # without a reason, because anybody can probe; whatever failed logs it
        future.set_result(word)


def _look_at_database() -> str:
    global _is_migrated, _write_again_at
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _is_migrated:
            executor = MigrationExecutor(connection)
            _is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not _is_migrated:
            return "not migrated"
        if time.monotonic() >= _write_again_at:
            try:
                _write()
            except Error:
                return "not writable"
            _write_again_at = time.monotonic() + WRITE_EVERY_S
        return "ok"
    finally:
        connection.close()


def _write() -> None:
    """Write as a message does: take space in a table, and commit.

    The commit updates the same row each time. A rollback alone would not reach the disk, and so would not notice that
    it is full or hangs. The large value, which is rolled back, is random because PostgreSQL would compress it otherwise
    and fit it into a page that it has already.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {int(WRITE_WITHIN_S * 1000)}")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {int(WRITE_WITHIN_S * 1000)}")
        large = transaction.savepoint()
        incompressible = secrets.token_hex(LARGE // 2)
        CacheEntry.objects.create(cache_key=f"{PROBE}-{os.getpid()}", value=incompressible, expires=timezone.now())
        transaction.savepoint_rollback(large)
        row = CacheEntry(cache_key=PROBE, value="", expires=timezone.now())
        CacheEntry.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["cache_key"], update_fields=["expires"]
        )


def _look_at_redis() -> str:
    for url in settings.REDIS_SHARDS:
        client: Any = redis.Redis.from_url(
            url, socket_timeout=REDIS_WITHIN_S, socket_connect_timeout=REDIS_WITHIN_S, retry=Retry(NoBackoff(), 0)
        )
        try:
            client.ping()
        finally:
            client.close()
    return "ok" if settings.REDIS_SHARDS else "none"


_write_again_at = 0.0
_is_migrated = False
"""Whether all migrations were applied once. It is not checked again: no process keeps running while a migration removes
what it uses."""
_database = Check(_look_at_database)
_redis = Check(_look_at_redis)


def HealthMiddleware(get_response: View) -> View:  # noqa: N802  # named like the other middleware in settings
    """Answer ``/healthz`` and ``/readyz`` without looking at anything but path and method.

    It is sync like the middleware behind it. Django runs it in the request's own thread, where waiting blocks nobody.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        if request.path_info not in PATHS:
            response: HttpResponseBase = get_response(request)
            return response
        if (refusal := _at_once(request)) is not None:
            return refusal
        checks = [_database.start(), _redis.start()]
        wait(checks, timeout=ANSWER_WITHIN_S)
        return _ready(*checks)

    return answer


PATHS = ("/healthz", "/readyz")


def _at_once(request: HttpRequest) -> HttpResponseBase | None:
    """The response that needs no check, or None."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return _json({"status": "ok"}) if request.path_info == "/healthz" else None


def _ready(database: "Future[str]", layer: "Future[str]") -> JsonResponse:
    from chat.services.writer import writer  # here, because services need the models

    waiting = {"waiting_s": round(writer.oldest_waiting_s(), 1)}
    looks = {"database": database, "redis": layer}
    found = {name: each.result() if each.done() else "unavailable" for name, each in looks.items()}
    if found["database"] != "ok":
        return _json({"status": "unavailable", **found, **waiting}, status=503)
    # The chat works without Redis, if more slowly between processes. So this process stays in service.
    return _json({"status": "degraded" if found["redis"] == "unavailable" else "ok", **found, **waiting})


def _json(body: dict[str, str | float], status: int = 200) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
