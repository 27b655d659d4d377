"""Writes the history of a run: what happened, when, in the form that ``torture.checker`` reads."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Recorder:
    """The events of one run, with their times in seconds since it began. Used on one event loop."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._start = time.monotonic()
        self._faults = 0
        self.running_faults: dict[int, str] = {}

    def now(self) -> float:
        return round(time.monotonic() - self._start, 4)

    def note(self, kind: str, /, **fields: Any) -> Event:
        event = {"e": kind, "t": self.now(), **fields}
        self.events.append(event)
        return event

    def state(self, kind: str, /, **fields: Any) -> None:
        """Note something that holds at the end, and has no time of its own."""
        self.events.append({"e": kind, **fields})

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Note that a fault lasts as long as the block."""
        self._faults += 1
        number = self._faults
        self.note("fault", name=name, phase="begin", n=number)
        self.running_faults[number] = name
        try:
            yield
        finally:
            del self.running_faults[number]
            self.note("fault", name=name, phase="end", n=number)

    def write(self, path: Path) -> None:
        with path.open("w") as file:
            for event in self.events:
                file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


def hash_of(body: str) -> str:
    """What tells one text from another; the server stores the same of the text that was posted."""
    return hashlib.sha256(body.encode()).hexdigest()


def state_of(
    *,
    id: str,
    number: int,
    seq: int,
    changed: int,
    author: str | None,
    client_id: str | None,
    body: str,
    reply_to: int | None,
    reactions: list[tuple[str, int]],
    is_deleted: bool,
) -> str:
    """A digest of everything about a message that people see and that must be the same for all of them."""
    parts = [id, number, seq, changed, author, client_id, body, reply_to, sorted(reactions), is_deleted]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
