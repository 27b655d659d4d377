"""The open rooms, as people look through them: by name or topic, a page at a time. Those to join come before one's
own, the busiest lately first."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from chat.access import lookup, serializers
from chat.access.policy import policy
from chat.models import Membership, Room
from chat.wire import protocol
from chat.wire.protocol import is_storable

PAGE = 30
PAGES = 200
"""Pages that one can turn to; past them a search is the way. The database skips what lies before a page row by row."""
SEARCH_CHARS = 100
SCANNED = 500
"""Rooms read at a time where policy hides many."""
SCANS = 20
"""So many times for one page: past 10,000 rooms in a row that policy hides, the list ends."""


@dataclass(frozen=True)
class OpenRoom:
    """An open room with what it is to one person."""

    room: protocol.Room
    last_message_at: Any
    is_in: bool
    may_join: bool


def open_rooms(user: Any, *, search: str = "", archived: bool = False, page: int = 1) -> tuple[list[OpenRoom], bool]:
    """A page of the open rooms that the person may see, and whether there are more.

    Args:
        search: A part of the name or the topic; blank: all. It finds the private rooms that the person is in, too.
        archived: Also the archived ones.
    """
    own = Membership.objects.present().of(user)
    is_in = Exists(own.filter(room=OuterRef("pk")))
    wanted = Q(kind=Room.Kind.OPEN)
    if text := searched(search):
        # Somebody who searches by name may well mean a private room of theirs.
        wanted |= Q(is_in, kind=Room.Kind.PRIVATE)
        wanted &= Q(name__icontains=text) | Q(topic__icontains=text)
    rows = Room.objects.filter(wanted)
    if not archived:
        rows = rows.filter(archived=False)
    start = (bounded(page) - 1) * PAGE
    in_order = rows.order_by(is_in, F("last_message_at").desc(nulls_last=True), "-pk")
    found = list(in_order[start : start + PAGE + 1])
    rooms = [
        OpenRoom(
            room=serializers.room(each.room),
            last_message_at=each.room.last_message_at,
            is_in=each.membership is not None,
            may_join=each.membership is None and policy().can_join(user, each.room),
        )
        for each in lookup.seen(user, found[:PAGE])
    ]
    return rooms, len(found) > PAGE and page < PAGES


def by_id(user: Any, *, after: int, most: int) -> tuple[list[Room], bool]:
    """The next open rooms that the person may see, by key, and whether there are more; for programs.

    Rooms that policy hides are passed over: to a program a page without any would be the end.
    """
    rows = Room.objects.filter(kind=Room.Kind.OPEN, archived=False).order_by("pk")
    shown: list[Room] = []
    for size in (most + 1, *[SCANNED] * SCANS):
        found = list(rows.filter(pk__gt=after)[:size])
        shown += [each.room for each in lookup.seen(user, found)]
        if len(shown) > most or len(found) < size:
            return shown[:most], len(shown) > most
        after = found[-1].pk
    # There may be more behind them: the next page goes on after the last one shown.
    return shown, bool(shown)


def searched(text: str) -> str:
    """What to look for; "" for text that no database can hold, which nothing is called."""
    text = " ".join(text.split())[:SEARCH_CHARS]
    return text if is_storable(text) else ""


def bounded(page: int) -> int:
    return min(max(page, 1), PAGES)
