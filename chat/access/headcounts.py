"""How many members of a room are connected, as far as this process knows.

The process's own list of people who are connected (live/presence.py) is asked through ``use``. Without one, as in a
worker or a shell, nothing is known.
"""

from collections.abc import Iterable
from typing import Protocol

from chat.models import Membership, Room

COUNTED_AT_MOST = 2_000
"""Members of other rooms than those that somebody follows here, whose keys are read for one answer."""


class Source(Protocol):
    """May be asked from any thread."""

    @property
    def is_certain(self) -> bool:
        """Whether whoever is not known to be connected is offline."""

    def is_connected(self, user_id: str) -> bool: ...

    def count(self, room_id: int) -> int | None:
        """How many members are connected, of a room that somebody follows here; None of others."""


_source: Source | None = None


def use(source: Source | None) -> None:
    global _source
    _source = source


def known(rooms: Iterable[Room]) -> dict[int, int]:
    """How many members of these rooms are connected, by room id. Rooms that nobody follows here are left out."""
    source = _source
    if source is None or not source.is_certain:
        return {}
    counts = {room.pk: source.count(room.pk) for room in rooms}
    return {room_id: count for room_id, count in counts.items() if count is not None}


def read(rooms: Iterable[Room]) -> dict[int, int]:
    """The same, with one query for rooms that nobody follows here. Where these have many members, they are left out,
    the largest first."""
    wanted = sorted(rooms, key=lambda each: each.member_count)
    counts = known(wanted)
    source = _source
    if source is None or not source.is_certain:
        return counts
    others: dict[int, int] = {}
    members = 0
    for room in wanted:
        if room.pk not in counts and (members := members + room.member_count) <= COUNTED_AT_MOST:
            others[room.pk] = 0
    if others:
        rows = Membership.objects.present().filter(room__in=list(others)).values_list("room_id", "user_key")
        for room_id, user_key in rows:
            others[room_id] += source.is_connected(user_key)
    return counts | others
