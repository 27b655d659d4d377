"""Which events are applied, dropped or held, and when one counts as missed (docs/protocol.md, section 4)."""

import msgspec

from chat.client.core.cursor import RoomCursor
from chat.wire.protocol import Cursor
from tests.client.core.model_room import events
from tests.client.core.model_server import half


def standing_at(seq: int = 0) -> RoomCursor:
    return RoomCursor(half, Cursor("e1", seq))


def test_the_next_event_is_applied_and_an_older_one_is_dropped() -> None:
    cursor, (_, (one, two)) = standing_at(), events(2)
    assert cursor.take(one, 0) == [one]
    assert cursor.take(one, 0) == []
    assert cursor.take(two, 0) == [two]
    assert cursor.position == Cursor("e1", 2)


def test_an_early_event_waits_for_the_missing_ones() -> None:
    cursor, (_, (one, two, three)) = standing_at(), events(3)
    assert cursor.take(three, 0) == []
    assert cursor.take(two, 0) == []
    assert cursor.take(one, 0) == [one, two, three]
    assert cursor.sync_at is None


def test_a_repaired_event_follows_its_prev() -> None:
    cursor, (_, made) = standing_at(1), events(5)
    repaired = msgspec.structs.replace(made[4], prev=1)
    assert cursor.take(repaired, 0) == [repaired]
    assert cursor.position == Cursor("e1", 5)


def test_a_missing_event_is_synced_after_two_seconds_and_up_to_three_of_jitter() -> None:
    cursor, (_, made) = standing_at(), events(3)
    cursor.take(made[2], 10.0)
    assert cursor.sync_at == 10 + 2 + 0.5 * 3


def test_a_head_that_is_ahead_for_so_long_is_synced_too() -> None:
    cursor = standing_at(5)
    cursor.heard(5, 0)
    assert cursor.sync_at is None
    cursor.heard(7, 1.0)
    assert cursor.sync_at == 1 + 3.5


def test_there_are_never_two_syncs_at_once() -> None:
    cursor = standing_at()
    cursor.want_sync(1.0)
    cursor.sync_started()
    cursor.heard(9, 2.0)
    cursor.want_sync(2.0)
    assert cursor.sync_at is None
    cursor.sync_ended(3.0)
    assert cursor.sync_at == 2.0


def test_synced_never_moves_it_back() -> None:
    cursor, (_, made) = standing_at(), events(2)
    for each in made:
        cursor.take(each, 0)
    cursor.synced(Cursor("e1", 1), 0)
    assert cursor.position == Cursor("e1", 2)


def test_a_lost_connection_discards_held_events() -> None:
    cursor, (_, made) = standing_at(), events(2)
    cursor.take(made[1], 0)
    cursor.disconnected()
    assert cursor.take(made[0], 0) == [made[0]]
    assert cursor.position == Cursor("e1", 1)


def test_the_number_of_held_events_is_bounded() -> None:
    cursor, (_, made) = standing_at(), events(700)
    for each in made[1:]:
        cursor.take(each, 0)
    assert len(cursor._held) == 500
    assert cursor.sync_at is not None


def test_until_a_reading_has_come_whole_the_client_syncs_from_before_it() -> None:
    cursor, (_, made) = standing_at(1), events(6)
    start = cursor.position
    first, second, last = (
        msgspec.structs.replace(made[at], prev=prev, upto=5) for at, prev in ((2, 1), (3, 3), (4, 4))
    )
    cursor.take(first, 0)
    cursor.take(second, 0)
    assert (cursor.position, cursor.sync_from) == (Cursor("e1", 4), start)
    cursor.disconnected()
    assert cursor.sync_from == start
    cursor.take(msgspec.structs.replace(last, upto=msgspec.UNSET), 0)
    assert cursor.sync_from == cursor.position == Cursor("e1", 5)
    cursor.take(made[5], 0)
    assert cursor.sync_from == Cursor("e1", 6)


def test_a_catch_up_ends_a_reading_that_was_cut_off() -> None:
    cursor, (_, made) = standing_at(1), events(6)
    cursor.take(msgspec.structs.replace(made[2], prev=1, upto=5), 0)
    cursor.synced(Cursor("e1", 6), 0)
    assert cursor.sync_from == Cursor("e1", 6)
    cursor.take(msgspec.structs.replace(made[5], seq=9, prev=6, upto=11), 0)
    cursor.reset(Cursor("e2", 3))
    assert cursor.sync_from == Cursor("e2", 3)
