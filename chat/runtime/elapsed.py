"""Time that passes even while the machine sleeps."""

import time


def now() -> float:
    """Seconds since some moment in the past. No change of the wall clock moves it.

    ``time.monotonic`` stands still on Linux while the machine is suspended. A change that waited meanwhile would look
    young.
    """
    return time.clock_gettime(_CLOCK)


_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", None) or time.CLOCK_MONOTONIC
