"""The people who joined or left a room in the span of time that a page of its timeline shows."""

from datetime import datetime

from chat.models import Membership, Message, Room

AT_MOST = 50
"""People of one page: the latest. A room of thousands that began in one minute is told by its list of members."""


def beside(room: Room, page: list[Message], *, more_before: bool, more_after: bool) -> list[Membership]:
    """Memberships with a coming or a going between the page's first and last message, in the order of their latest.

    Where the timeline ends, the span is open. A direct room's people never change.
    """
    if room.is_direct or (room.last_number and not page):
        return []
    since = page[0].created_at if page and more_before else None
    until = page[-1].created_at if page and more_after else None
    rows = Membership.objects.filter(room=room).with_people()
    came = rows.filter(**_within("joined_at", since, until)).order_by("-joined_at")
    went = rows.filter(left_at__isnull=False, **_within("left_at", since, until)).order_by("-left_at")
    # Each side reads as many entries of its index as it needs, however many people the room has. Asked for both in one
    # query, PostgreSQL would read everybody of all rooms.
    found = {each.pk: each for each in (*came[:AT_MOST], *went[:AT_MOST])}

    def latest(membership: Membership) -> tuple[datetime, int]:
        moments = (membership.joined_at, membership.left_at)
        inside = [at for at in moments if at and (not since or at >= since) and (not until or at <= until)]
        return max(inside), membership.pk

    return sorted(found.values(), key=latest)[-AT_MOST:]


def _within(field: str, since: datetime | None, until: datetime | None) -> dict[str, datetime]:
    bounds = {f"{field}__gte": since, f"{field}__lte": until}
    return {bound: moment for bound, moment in bounds.items() if moment is not None}
