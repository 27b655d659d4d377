"""Watch the event loop of a server under test, and log a line ``WATCHDOG …`` for everything that holds it up.

There are three rules:

1. A step of the loop may take at most 50 ms of the CPU time of the loop's thread. Wall time would also count the time
   that other processes take, and tests run on shared machines.
2. A step may not wait, for example for a lock, a disk or a socket: during a step, the thread must not be asleep without
   using CPU in ``STUCK_SAMPLES`` samples in a row. A thread that is ready but gets no CPU counts as running. So does a
   thread that starts another one, because it waits until the new thread has got some CPU.
3. The loop's thread may not call the database. Django refuses such calls (``SynchronousOnlyOperation``). Each refusal
   is logged, even if the code catches it.

``tests/rig/asgi.py`` installs the watchdog after all imports, which are exempt.
"""

import asyncio
import logging
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from django.core.exceptions import SynchronousOnlyOperation

logger = logging.getLogger("watchdog")
STEP_CPU_S = 0.050
SAMPLE_S = 0.020
STUCK_SAMPLES = 15
MARK = "WATCHDOG"


class Watchdog:
    """Watches the thread that first runs a step of an event loop."""

    def __init__(self) -> None:
        self.thread_id = 0
        self._native_id = 0
        self._step = 0
        self._in_step = False
        self._clock = 0
        self._seen = traceback.StackSummary()
        self._seen_in_step = -1

    def install(self) -> None:
        assert not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"), "Django would let database calls pass."
        run = asyncio.events.Handle._run

        def watched(handle: asyncio.events.Handle) -> None:
            if not self.thread_id:
                self._begin()
            if threading.get_ident() != self.thread_id:
                return run(handle)
            self._step += 1
            self._in_step = True
            before = time.thread_time()
            try:
                return run(handle)
            finally:
                self._in_step = False  # at once, or the last sample would be of this place
                took = time.thread_time() - before
                if took > STEP_CPU_S:
                    stack = "".join(self._seen.format()) if self._seen_in_step == self._step else "  (not sampled)"
                    logger.error("%s a step took %.0f ms of CPU: %r\n%s", MARK, took * 1000, handle, stack)

        asyncio.events.Handle._run = watched  # type: ignore[method-assign]
        _log_refused_database_calls()

    def _begin(self) -> None:
        self.thread_id = threading.get_ident()
        self._native_id = threading.get_native_id()
        self._clock = time.pthread_getcpuclockid(self.thread_id)
        threading.Thread(target=self._sample, name="watchdog", daemon=True).start()

    def _sample(self) -> None:
        step, idle, cpu = -1, 0, 0.0
        while True:
            time.sleep(SAMPLE_S)
            if not self._in_step:
                continue
            now = time.clock_gettime(self._clock)
            frame = sys._current_frames().get(self.thread_id)
            if frame is not None:
                self._seen, self._seen_in_step = _summary(frame), self._step
            if self._step != step:
                step, idle, cpu = self._step, 0, now
                continue
            waits = now - cpu < 0.001 and self._sleeps() and not _starts_a_thread(frame)
            idle = idle + 1 if waits else 0
            cpu = now
            if idle == STUCK_SAMPLES:
                waited_ms = STUCK_SAMPLES * SAMPLE_S * 1000
                stack = "".join(self._seen.format())
                logger.error("%s a step waits, for at least %.0f ms now:\n%s", MARK, waited_ms, stack)

    def _sleeps(self) -> bool:
        stat = Path(f"/proc/self/task/{self._native_id}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] in ("S", "D")


def _starts_a_thread(frame: FrameType | None) -> bool:
    return frame is not None and any(
        each.f_code is threading.Thread.start.__code__ for each, _ in traceback.walk_stack(frame)
    )


def _log_refused_database_calls() -> None:
    make = SynchronousOnlyOperation.__init__

    def noted(self: SynchronousOnlyOperation, *args: object) -> None:
        stack = "".join(_summary(sys._getframe(1)).format())
        logger.error("%s a database call on the event loop's thread:\n%s", MARK, stack)
        make(self, *args)

    SynchronousOnlyOperation.__init__ = noted  # type: ignore[method-assign]


def _summary(frame: FrameType) -> traceback.StackSummary:
    # Do not look up the source lines yet: that would itself hold up the loop.
    found = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=12, lookup_lines=False)
    found.reverse()
    return found
