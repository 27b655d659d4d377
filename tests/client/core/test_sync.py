"""Rooms that are synced together."""

from chat.client.core.sync import chunks
from chat.wire import protocol
from chat.wire.protocol import Cursor
from tests.client.core.model_room import LIMITS


def test_many_rooms_are_synced_in_commands_that_fit() -> None:
    rooms: dict[str, Cursor | None] = {f"{each:064}": Cursor("e" * 64, 2**53 - 1) for each in range(1200)}
    parts = chunks(rooms, LIMITS)
    assert {room for part in parts for room in part} == set(rooms)
    for part in parts:
        assert len(part) <= 500
        assert len(protocol.encode(protocol.Sync(ref=protocol.MAX_INT, rooms=part))) <= LIMITS.frame_bytes
