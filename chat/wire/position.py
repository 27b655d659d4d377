"""Where a room's numbers stand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A room's state after ``seq``, its head when this was read.

    Attributes:
        run: The run of the database that ``seq`` was given in; empty for numbers from before there were runs.
        run_seq: The first seq that the room was given in this run.
    """

    epoch: str
    seq: int
    run: str = ""
    run_seq: int = 0
