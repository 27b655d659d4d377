"""Stores how far an application has read in its rooms, so that its next run continues from there."""

import os
import threading
from pathlib import Path
from typing import Protocol

import msgspec

from chat.wire.protocol import Cursor


class RoomPosition(msgspec.Struct, frozen=True):
    """How far the application has read in one room.

    ``cursor`` covers the changes that it has taken; ``number`` is the last message that it has taken.
    """

    cursor: Cursor
    number: int


Positions = dict[str, RoomPosition]
"""By room id."""


class CursorStore(Protocol):
    """Keeps positions between two runs. ``load`` is called once, on the event loop; ``save`` is called in threads."""

    def load(self) -> Positions: ...

    def save(self, positions: Positions) -> None: ...


class FileCursors:
    """Positions in a JSON file, replaced as a whole."""

    def __init__(self, path: str | Path):
        self._path = Path(path)
        self._saving = threading.Lock()
        """The save of a closing client may overlap the one that runs each second."""

    def load(self) -> Positions:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Positions)
        except FileNotFoundError:
            return {}

    def save(self, positions: Positions) -> None:
        draft = self._path.with_name(f"{self._path.name}.new")
        with self._saving:
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(positions)))
            os.replace(draft, self._path)  # noqa: PTH105 - says that it replaces
