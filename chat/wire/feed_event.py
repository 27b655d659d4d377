"""A room's event as it travels between processes: numbered, and encoded once for every reader."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """A numbered event of one room.

    Attributes:
        prev: The seq that it follows; nothing in the room's present state lies between the two.
        leaver: The wire id of the person who loses the room with this event, or None.
        run: The run of the database that ``seq`` was given in.
        run_before: The run of ``prev``: another one if a run begins in between.
    """

    seq: int
    prev: int
    encoded: bytes
    leaver: str | None = None
    run: str = ""
    run_before: str = ""

    @property
    def moves_people(self) -> bool:
        """Whether somebody joins the room with it, or leaves it."""
        return self.encoded.startswith((b'{"type":"member.joined"', b'{"type":"member.left"'))
