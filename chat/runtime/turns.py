"""Whose turn it is: one person's backlog does not delay the others. Sans I/O; not safe for threads by itself."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Items of many people that wait for a worker. Those of one person keep their order; people take turns, one each.

    Args:
        of_one: How many items of this person may be under way at once.
    """

    def __init__(self, of_one: Callable[[Hashable], int]):
        self._of_one = of_one
        self._ready: OrderedDict[Hashable, deque[Item]] = OrderedDict()
        self._held: dict[Hashable, deque[Item]] = {}
        self._under_way: Counter[Hashable] = Counter()
        self._waiting = 0

    def __len__(self) -> int:
        """How many items wait."""
        return self._waiting

    def waiting_of(self, person: Hashable) -> int:
        """How many items of this person wait."""
        return len(self._held.get(person) or self._ready.get(person) or ())

    def put(self, person: Hashable, item: Item) -> None:
        """Let an item wait behind those of the same person."""
        self._place_of(person).setdefault(person, deque()).append(item)
        self._waiting += 1

    def take(self) -> tuple[Hashable, Item] | None:
        """The next item with its person, which is under way from now on; None while no person's turn can come."""
        if not self._ready:
            return None
        person, items = self._ready.popitem(last=False)
        item = items.popleft()
        self._waiting -= 1
        self._under_way[person] += 1
        if items:
            self._place_of(person)[person] = items
        return person, item

    def finish(self, person: Hashable) -> None:
        """An item of this person is no longer under way."""
        self._under_way[person] -= 1
        if not self._under_way[person]:
            del self._under_way[person]
        if (items := self._held.pop(person, None)) is not None:
            self._ready[person] = items

    def _place_of(self, person: Hashable) -> dict[Hashable, deque[Item]]:
        return self._held if self._under_way[person] >= self._of_one(person) else self._ready
