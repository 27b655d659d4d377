"""What is read right after a stall may be as old as the stall."""

import asyncio

from chat.live.stalls import Stalls


class Process:
    """A process that beats once a second, unless it stands still."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stalls = Stalls(lambda: self.now)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            asyncio.run(self.stalls.beat())

    def stand_still(self, seconds: float) -> None:
        self.now += seconds


def test_a_frame_counts_from_when_it_is_read() -> None:
    process = Process()
    process.run(5)
    process.stand_still(0.4)
    assert process.stalls.arrived_at() == 105.4


def test_a_frame_that_is_read_after_a_stall_counts_from_its_beginning() -> None:
    process = Process()
    process.run(5)
    process.stand_still(40)
    assert process.stalls.arrived_at() == 105, "before the first beat"
    asyncio.run(process.stalls.beat())
    process.stand_still(0.5)
    assert process.stalls.arrived_at() == 105, "just after it"


def test_a_stall_is_forgotten_a_second_later() -> None:
    process = Process()
    process.stand_still(40)
    process.run(1)
    process.stand_still(1)
    assert process.stalls.arrived_at() == 142
