"""How long a thread that computes may keep the event loop and the writer waiting for the interpreter."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH_S = 0.0005
"""A thread that wants the interpreter gets it after this time. Python's own interval is ten times as long, and a post
needs the interpreter some dozen times: after each statement of the database, for one. While one thread rendered the
worst Markdown, posts of others took 244 ms, and 41 with this."""

_lock = threading.Lock()
_busy = 0
_own_s = sys.getswitchinterval()


@contextmanager
def giving_way() -> Iterator[None]:
    """Let threads take turns often while the block runs, in whatever thread. Between the loop and the writer alone,
    which have little to compute at a time, Python's own interval costs less."""
    global _busy, _own_s
    with _lock:
        if not _busy:
            _own_s = sys.getswitchinterval()
            sys.setswitchinterval(min(_own_s, SWITCH_S))
        _busy += 1
    try:
        yield
    finally:
        with _lock:
            _busy -= 1
            if not _busy:
                sys.setswitchinterval(_own_s)


def _forget() -> None:
    """Reset after fork(): the threads that compute live only in the parent."""
    global _lock, _busy
    if _busy:
        sys.setswitchinterval(_own_s)
    _lock, _busy = threading.Lock(), 0


os.register_at_fork(after_in_child=_forget)
