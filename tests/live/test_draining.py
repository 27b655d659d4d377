"""Clients are sent away once they are answered, and never later than is said."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chat.live import draining
from chat.live.draining import Draining
from chat.wire.errors import Close


class Leaver:
    """What ``Draining`` asks of a connection."""

    def __init__(self, unanswered: int = 0):
        self.unanswered = unanswered
        self.is_leaving = self.is_closed = False
        self.told: list[Any] = []
        self.closed_with: int | None = None

    def flush(self, now: float) -> None:
        pass

    def close(self, code: int) -> None:
        self.is_closed, self.closed_with = True, code


def hub_with(*connections: Leaver) -> Any:
    hub = SimpleNamespace(loop=asyncio.get_running_loop(), all=list(connections))
    hub.send = lambda connection, encoded: connection.told.append(json.loads(encoded))

    class Hub(SimpleNamespace):
        @property
        def connections(self) -> list[Leaver]:
            return [each for each in hub.all if not each.is_closed]

    return cast(Any, Hub(loop=hub.loop, send=hub.send))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "PATIENCE_S", 0.2)
    monkeypatch.setattr(draining, "ANSWERED_S", 3.0)
    monkeypatch.setattr(draining, "STEP_S", 0.01)


async def test_everybody_is_told_and_closed_at_once():
    leavers = [Leaver() for _ in range(30)]
    await Draining(hub_with(*leavers), spread_s=0.1).run()
    for each in leavers:
        assert [event["type"] for event in each.told] == ["drain"]
        assert each.closed_with == Close.DRAINING


async def test_nobody_is_told_before_the_last_answer():
    busy = Leaver(unanswered=1)
    running = asyncio.create_task(Draining(hub_with(busy), spread_s=0.0).run())
    await asyncio.sleep(0.1)
    assert not busy.told
    assert not busy.is_leaving
    busy.unanswered = 0
    await running
    assert busy.closed_with == Close.DRAINING


async def test_who_always_asks_gets_no_new_commands_and_is_closed_in_the_end():
    busy = Leaver(unanswered=1)
    running = asyncio.create_task(Draining(hub_with(busy), spread_s=0.0).run())
    await asyncio.sleep(0.4)
    assert busy.is_leaving
    assert not busy.is_closed
    await running
    assert busy.closed_with == Close.DRAINING
