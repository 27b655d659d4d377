"""Threads of the chat's own and a host's connection pool: a dead connection is not the first of many."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from chat.models import database
from chat.runtime import pools


def in_a_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_a_thread_may_connect_past_the_hosts_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(shared, "pool", {"max_size": 1})

    def options() -> dict[str, Any]:
        pools.use_plain_connection()
        return dict(database.connection().settings_dict["OPTIONS"])

    assert in_a_thread(options) == {name: value for name, value in shared.items() if name != "pool"}
    assert in_a_thread(lambda: database.connection().settings_dict["OPTIONS"]) is shared


def test_what_waits_in_a_pool_is_replaced_when_one_of_its_connections_is_found_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []

    class Pool:
        def drain(self) -> None:
            happened.append("drained")

    class Wrapper:
        pool = Pool()
        in_atomic_block = errors_occurred = False
        settings_dict: dict[str, Any] = {"OPTIONS": {"pool": True}}  # noqa: RUF012

        def close(self) -> None:
            happened.append("closed")

    def work() -> str:
        happened.append("called")
        if len(happened) == 1:
            raise OperationalError("the connection is closed")
        return "read"

    monkeypatch.setattr(connections, "all", lambda initialized_only: [Wrapper()])
    assert pools._call(work, (), {}) == "read"
    assert happened == ["called", "closed", "drained", "called", "closed"]
