"""When a client connects, gives up and reconnects (docs/protocol.md, section 5)."""

from typing import Any

import pytest

from chat.client.core.reconnecting import Link
from tests.client.core.model_server import half


def connecting(**options: Any) -> Link:
    link = Link(half, **options)
    link.start(0.0)
    assert link.tick(0.0) == "connect"
    return link


def test_the_back_off_doubles_from_one_second_to_thirty() -> None:
    link, now, waits = connecting(), 0.0, []
    for _ in range(8):
        link.lost(now)
        assert link.wake_at is not None
        waits.append(link.wake_at - now)
        now = link.wake_at
        assert link.tick(now) == "connect"
    assert waits == [pytest.approx(each / 2) for each in (1, 2, 4, 8, 16, 30, 30, 30)]


@pytest.mark.parametrize(("live_s", "wait"), [(9.9, 1.0), (10.0, 0.5)])
def test_ten_live_seconds_reset_it(live_s: float, wait: float) -> None:
    link = connecting()
    link.lost(0.0)
    now = link.wake_at or 0.0
    link.tick(now)
    link.greeted(20, now)
    link.lost(now + live_s)
    assert link.wake_at == pytest.approx(now + live_s + wait)


def test_two_and_a_half_silent_heartbeats_are_the_end() -> None:
    link = connecting()
    link.greeted(20, 0.0)
    link.heard(30.0)
    assert link.tick(50.0) is None
    assert link.wake_at == 80.0
    assert link.tick(80.0) == "give_up"
    assert link.state == "waiting"


def test_a_drain_says_when() -> None:
    link = connecting()
    link.greeted(20, 0.0)
    link.drain(3000, 1.0)
    link.lost(1.5, 4012)
    assert link.wake_at == 4.0


def test_a_drained_connection_that_is_not_closed_is_given_up() -> None:
    link = connecting()
    link.greeted(20, 0.0)
    link.drain(3000, 1.0)
    assert link.tick(4.0) == "give_up"
    assert link.tick(4.0) == "connect"


def test_fresh_credentials_are_tried_once_until_they_worked() -> None:
    link = connecting(can_refresh=True)
    link.lost(0.0, 4501)
    assert link.needs_fresh
    link.tick(100.0)
    link.greeted(20, 100.0)
    link.lost(101.0, 4501)
    assert link.state == "waiting"
    link.tick(200.0)
    link.lost(201.0, 4501)
    assert (link.state, link.reason) == ("stopped", "not_signed_in")
