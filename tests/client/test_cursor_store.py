"""An application's cursors, kept in a file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chat.client.cursor_store import FileCursors, Positions, RoomPosition
from chat.wire.protocol import Cursor


def test_saves_that_meet_leave_one_of_them_whole(tmp_path: Path) -> None:
    store = FileCursors(tmp_path / "cursors.json")
    made: list[Positions] = [{str(room): RoomPosition(Cursor("e1", 1), room) for room in range(at)} for at in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.save, made))  # list() raises the exception of a failed save
    assert store.load() in made
