"""End the servers of a test session when the session is gone, even if it was killed and could not stop them itself.

A small separate process waits for the end of its standard input, which closes when this process ends.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

WAITER = """
import os, signal, sys
def started(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[19]
    except OSError:
        return ""
held = {}
for line in sys.stdin:
    held[int(line)] = started(line.strip())
for pid, since in held.items():
    # Only if it is still the same process: a number may belong to somebody else by now.
    if since and started(pid) == since:
        os.kill(pid, signal.SIGKILL)
"""


def hold(pid: int) -> None:
    """Have process ``pid`` killed once this process ends, if it still runs then. Without /proc, do nothing."""
    waiter = _waiter()
    if waiter and waiter.stdin:
        waiter.stdin.write(f"{pid}\n")
        waiter.stdin.flush()


@cache
def _waiter() -> "subprocess.Popen[str] | None":
    if not Path("/proc/self/stat").exists():
        return None
    # It gets its own session, so that Ctrl-C reaches only the tests.
    return subprocess.Popen([sys.executable, "-c", WAITER], stdin=subprocess.PIPE, text=True, start_new_session=True)
