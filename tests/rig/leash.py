"""Ends the servers of a test session when the session is gone, even if it was killed and could not do so itself.

A small process of its own waits for the end of its standard input, which comes with the end of this process.
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
    """Kill the process once this one has ended, unless it has ended itself. Does nothing where there is no /proc."""
    waiter = _waiter()
    if waiter and waiter.stdin:
        waiter.stdin.write(f"{pid}\n")
        waiter.stdin.flush()


@cache
def _waiter() -> "subprocess.Popen[str] | None":
    if not Path("/proc/self/stat").exists():
        return None
    # A session of its own: Ctrl-C is for the tests.
    return subprocess.Popen([sys.executable, "-c", WAITER], stdin=subprocess.PIPE, text=True, start_new_session=True)
