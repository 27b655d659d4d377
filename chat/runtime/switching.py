"""How long a thread that computes may keep the event loop and the writer waiting for the interpreter."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005
"""A thread that wants the interpreter gets it after this time. Python's own interval is ten times as long, and a post
needs the interpreter some dozen times: after each statement of the database, for one. While one thread rendered the
worst Markdown, posts of others took 244 ms, and 41 with this."""

_lock = threading.Lock()
_busy = 0
_own_s = sys.getswitchinterval()
_is_flooded = False
_flood_ends_at = 0.0


@contextmanager
def giving_way() -> Iterator[None]:
    """Let threads take turns often while the block runs, in whatever thread. Between the loop and the writer alone,
    which have little to compute at a time, Python's own interval costs less."""
    _begin()
    try:
        yield
    finally:
        _end()


def give_way_for(seconds: float) -> None:
    """Let threads take turns often for so long from now: a flood keeps the event loop busy. Cheap to repeat."""
    global _flood_ends_at, _is_flooded
    _flood_ends_at = time.monotonic() + seconds
    if not _is_flooded:
        _is_flooded = True
        _begin()
        _end_flood_in(seconds)


def _end_flood_in(seconds: float) -> None:
    timer = threading.Timer(seconds, _end_flood)
    timer.daemon = True
    timer.start()


def _end_flood() -> None:
    global _is_flooded
    if (left_s := _flood_ends_at - time.monotonic()) > 0:
        _end_flood_in(left_s)
    else:
        _is_flooded = False
        _end()


def _begin() -> None:
    global _busy, _own_s
    with _lock:
        if not _busy:
            _own_s = sys.getswitchinterval()
            sys.setswitchinterval(min(_own_s, SWITCH_S))
        _busy += 1


def _end() -> None:
    global _busy
    with _lock:
        _busy = max(0, _busy - 1)  # a fork in between has forgotten it
        if not _busy:
            sys.setswitchinterval(_own_s)


def _forget() -> None:
    """Reset after fork(): the threads that compute live only in the parent."""
    global _lock, _busy, _is_flooded
    if _busy:
        sys.setswitchinterval(_own_s)
    _lock, _busy, _is_flooded = threading.Lock(), 0, False


os.register_at_fork(after_in_child=_forget)
