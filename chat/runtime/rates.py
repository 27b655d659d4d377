"""Token buckets: how often something may be done for each key. Sans I/O; times are seconds of any monotonic clock."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

PEOPLE_AT_MOST = 10_000
"""Buckets kept. The least recently used is dropped first; a dropped bucket counts as full."""


@dataclass
class RateLimit:
    """Allow ``burst`` at once and ``rate`` a second over a longer time, for each key. Any thread may ask."""

    rate: float
    burst: int
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def wait_s(self, key: Hashable, now: float, cost: float = 1.0) -> float:
        """Take ``cost`` tokens and return 0, or take none and return the seconds until there are enough.

        A cost above ``burst`` counts as ``burst``.
        """
        cost = min(cost, float(self.burst))
        with self._lock:
            level, since = self._buckets.pop(key, (float(self.burst), now))
            level = min(float(self.burst), level + max(0.0, now - since) * self.rate)
            wait = 0.0 if level >= cost else (cost - level) / self.rate
            self._buckets[key] = (level - cost if wait == 0 else level, now)
            if len(self._buckets) > PEOPLE_AT_MOST:
                self._buckets.popitem(last=False)
        return wait
