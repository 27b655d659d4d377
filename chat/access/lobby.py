"""The open rooms, as people look through them: by name or topic, a page at a time. Those to join come before one's
own, the busiest lately first."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from chat.access import shapes
from chat.access.policy import policy
from chat.models import Membership, Room
from chat.wire import protocol
from chat.wire.protocol import is_storable

PAGE = 30
PAGES = 200
"""Pages that one can turn to; past them a search is the way. The database skips what lies before a page row by row."""
SEARCH_CHARS = 100


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
        search: A part of the name or the topic; blank: all.
        archived: Also the archived ones.
    """
    rows = Room.objects.filter(kind=Room.Kind.OPEN)
    if not archived:
        rows = rows.filter(archived=False)
    if text := searched(search):
        rows = rows.filter(Q(name__icontains=text) | Q(topic__icontains=text))
    start = (bounded(page) - 1) * PAGE
    own = Membership.objects.present().of(user)
    in_order = rows.order_by(Exists(own.filter(room=OuterRef("pk"))), F("last_message_at").desc(nulls_last=True), "-pk")
    found = list(in_order[start : start + PAGE + 1])
    present = own.filter(room__in=[each.pk for each in found]).select_related("room")
    mine = {each.room_id: each for each in present}
    rules = policy()
    shown = [each for each in found[:PAGE] if rules.can_see(user, each, mine.get(each.pk))]
    rooms = [
        OpenRoom(
            room=shapes.room(each),
            last_message_at=each.last_message_at,
            is_in=each.pk in mine,
            may_join=each.pk not in mine and rules.can_join(user, each),
        )
        for each in shown
    ]
    return rooms, len(found) > PAGE and page < PAGES


def searched(text: str) -> str:
    """What to look for; "" for text that no database can hold, which nothing is called."""
    text = " ".join(text.split())[:SEARCH_CHARS]
    return text if is_storable(text) else ""


def bounded(page: int) -> int:
    return min(max(page, 1), PAGES)
