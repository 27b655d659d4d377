"""A room's event as it travels between processes: numbered, and encoded once for every reader."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """A numbered event of one room.

    ``prev`` is the seq that it follows; nothing in the room's present state lies between the two. ``leaver`` is the
    wire id of the person who loses the room with this event, or None.
    """

    seq: int
    prev: int
    encoded: bytes
    leaver: str | None = None
