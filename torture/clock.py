"""The wall clock of a server process, which a scenario may set forward and back while the process runs.

``TORTURE_CLOCK`` names a file in the site's folder with the seconds to add. The monotonic clock is not affected, as
when somebody, or NTP, sets a machine's time.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from django.utils import timezone

LOOK_EVERY_S = 0.1


class Clock:
    """The machine's time, shifted by what the file says."""

    def __init__(self, file: Path):
        self._file = file
        self._real = time.time
        self._offset = 0.0
        self._look_at = 0.0

    def time(self) -> float:
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            self._offset = float(self._file.read_text()) if self._file.exists() else 0.0
        return self._real() + self._offset

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), tz=UTC)


def install() -> None:
    """Shift this process's clock. Call it before models are imported: their defaults hold ``timezone.now`` itself."""
    if name := os.environ.get("TORTURE_CLOCK"):
        clock = Clock(Path(os.environ["HEARTH_HOME"], name))
        time.time, timezone.now = clock.time, clock.now  # type: ignore[assignment]


def shift(folder: Path, name: str, seconds: float) -> None:
    """Set the clocks of the site in ``folder`` forward by ``seconds``, or back if negative; 0 sets them right."""
    made = folder / f"{name}.new"
    made.write_text(str(seconds))
    made.replace(folder / name)
