"""Tasks to run later. Sans I/O; times are seconds of any monotonic clock, passed in."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

Task = Callable[[float], None]
"""Called with the time."""


@dataclass(slots=True)
class Schedule:
    _entries: list[tuple[float, int, Task]] = field(default_factory=list)
    _count: "count[int]" = field(default_factory=count)

    @property
    def wake_at(self) -> float | None:
        return self._entries[0][0] if self._entries else None

    def add(self, at: float, task: Task) -> None:
        heapq.heappush(self._entries, (at, next(self._count), task))

    def run(self, now: float) -> None:
        """Run the tasks that are due."""
        while self._entries and self._entries[0][0] <= now:
            heapq.heappop(self._entries)[2](now)

    def clear(self) -> None:
        self._entries.clear()
