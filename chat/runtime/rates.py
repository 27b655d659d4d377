"""Token buckets: how often something may be done for each key. Sans I/O; times are seconds of any monotonic clock."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

REST_AT_LEAST_S, REST_AT_MOST_S = 0.005, 0.3
PEOPLE_AT_MOST = 10_000
"""Buckets kept. The least recently used is dropped first; a dropped bucket counts as full."""


@dataclass
class RateLimit:
    """Allow ``burst`` at once and ``rate`` a second over a longer time, for each key. Any thread may ask."""

    rate: float
    burst: int
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)
    _taken: dict[Hashable, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def wait_s(self, key: Hashable, now: float, cost: float = 1.0) -> float:
        """Take ``cost`` tokens and return 0, or take none and return the seconds until there are enough.

        A cost above ``burst`` counts as ``burst``.
        """
        cost = min(cost, float(self.burst))
        with self._lock:
            level = self._level(key, now)
            if level < cost:
                self._put(key, level, now)
                return (cost - level) / self.rate
            self._put(key, level - cost, now)
            if key in self._taken or len(self._taken) < PEOPLE_AT_MOST:
                self._taken[key] = self._taken.get(key, 0.0) + cost
        return 0.0

    def owe(self, key: Hashable, now: float, cost: float, *, bursts: float = 1.0) -> float:
        """Take ``cost`` tokens, be they there or not, and return the seconds until none is owed. A key owes ``bursts``
        times the burst at most."""
        with self._lock:
            level = max(-bursts * self.burst, self._level(key, now) - cost)
            self._put(key, level, now)
        return max(0.0, -level / self.rate)

    def take_elsewhere(self, key: Hashable, cost: float, now: float) -> None:
        """Take ``cost`` tokens that were used in another process. A key owes ``burst`` tokens at most."""
        self.owe(key, now, cost)

    def taken(self) -> list[tuple[Hashable, float]]:
        """What each key has taken here since the last call, most first; without those that took little.

        Called each second, it leaves out keys that use less than a quarter of their rate, as nearly all do.
        """
        with self._lock:
            taken, self._taken = self._taken, {}
        return sorted(((key, cost) for key, cost in taken.items() if cost >= self.rate / 4), key=lambda each: -each[1])

    def _level(self, key: Hashable, now: float) -> float:
        level, since = self._buckets.pop(key, (float(self.burst), now))
        return min(float(self.burst), level + max(0.0, now - since) * self.rate)

    def _put(self, key: Hashable, level: float, now: float) -> None:
        self._buckets[key] = (level, now)
        if len(self._buckets) > PEOPLE_AT_MOST:
            self._buckets.popitem(last=False)


class TimeBudget:
    """Computing time that a key may take at once, and in the long run: what goes on beyond that rests in between.

    Args:
        share: Of one processor, in the long run.
        at_once_s: Without any rest.
    """

    def __init__(self, *, share: float, at_once_s: float):
        self._spent_ms = RateLimit(rate=1000 * share, burst=round(1000 * at_once_s))

    def rest_s(self, key: Hashable, took_s: float, now: float) -> float:
        """Count what a key's call took, and return for how long the next one should wait."""
        wait_s = self._spent_ms.owe(key, now, 1000 * took_s)
        return min(wait_s, REST_AT_MOST_S) if wait_s >= REST_AT_LEAST_S else 0.0
