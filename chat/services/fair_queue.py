"""A queue between many people and one worker. People take turns, so one person's backlog does not delay the others."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Full(Exception):
    """The queue takes no further item."""


class FairQueue(Generic[Item]):
    """Items of many people. Those of one person keep their order; people take turns, one item each.

    Any thread may put items in; one takes them out.

    Args:
        most: How many items may wait.
        cost: What an item takes of the budget of one ``take``.
        is_single: Whether an item is one of which a ``take`` returns only one for each person.
    """

    def __init__(
        self, most: int, cost: Callable[[Item], float], is_single: Callable[[Item], bool] = lambda item: False
    ):
        self._most = most
        self._cost = cost
        self._is_single = is_single
        self._people: OrderedDict[str, deque[Item]] = OrderedDict()
        self._rests: dict[str, float] = {}
        self._waiting = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, person: str, item: Item) -> None:
        """Let an item wait behind those of the same person.

        Raises:
            Full: The queue is full or closed; the item was not added.
        """
        with self._changed:
            if self._waiting >= self._most or self._is_closed:
                raise Full
            self._people.setdefault(person, deque()).append(item)
            self._waiting += 1
            self._changed.notify()

    def close(self) -> None:
        """Let ``take`` return at once from now on. What waits can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    @property
    def is_done(self) -> bool:
        """Whether it is closed and nothing waits any more."""
        with self._changed:
            return self._is_closed and not self._waiting

    def take(self, budget: float, timeout: float | None = None) -> list[Item]:
        """Wait for an item, and take it and those that wait beside it, in turns, until ``budget`` is used up.

        Args:
            timeout: How long to wait, in seconds; None: for ever.

        Returns:
            At least one item, whatever it costs; none only if the time is over, or the queue is closed and empty.
        """
        ends_at = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                now = time.monotonic()
                if (taken := self._take(budget, now)) or self.is_done or (ends_at is not None and now >= ends_at):
                    return taken
                moments = [each for each in (ends_at, *self._rests.values()) if each is not None]
                self._changed.wait(min(moments) - now if moments else None)

    def rest(self, person: str, seconds: float) -> None:
        """Take no single item of this person for a while."""
        with self._changed:
            self._rests[person] = time.monotonic() + seconds

    def _take(self, budget: float, now: float) -> list[Item]:
        self._rests = {person: until for person, until in self._rests.items() if until > now}
        taken: list[Item] = []
        has_had_one = set() if self._is_closed else set(self._rests)
        later: dict[str, deque[Item]] = {}
        while self._people:
            person, items = next(iter(self._people.items()))
            if self._is_single(items[0]):
                if person in has_had_one:
                    later[person] = self._people.pop(person)
                    continue
                has_had_one.add(person)
            budget -= self._cost(items[0])
            if taken and budget < 0:
                break
            taken.append(items.popleft())
            self._waiting -= 1
            if items:
                self._people.move_to_end(person)
            else:
                del self._people[person]
        self._people.update(later)
        return taken
