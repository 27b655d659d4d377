"""Watch the system calls of servers: what they write to which file, when they flush it, and what they send to whom.

One strace watches all the processes, so the order of its lines is the order in which the calls happened: a call ends
only after strace has noted its end, and none begins before its beginning is noted.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rig import leash
from tests.rig.ports import wait_until

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
FLUSHES = ("fsync", "fdatasync")
SENDS = ("sendto", "sendmsg", "write", "writev")
WATCHED = ",".join(sorted({*WRITES, *FLUSHES, *SENDS}))
LINE = re.compile(r"^(?P<task>\d+) +(?:(?P<name>\w+)\(\d+<(?P<target>.*?)>(?=[,) ])|<\.\.\. \w+ resumed>)(?P<rest>.*)$")
FAILED = re.compile(r" = (-1 |\?)")
ESCAPE = re.compile(r"\\([0-7]{1,3}|.)")
MEANINGS = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}


class NotPermitted(Exception):
    """This machine does not let us watch other processes."""


@dataclass(slots=True)
class Call:
    """A system call. ``began`` and ``ended`` are places in the one order of all calls."""

    name: str
    target: str
    """The path of the file, or ``TCP:[address:port->address:port]``, this side first."""
    data: str
    """What was written or sent; each character is a byte."""
    began: int
    ended: int


@contextmanager
def watched(pids: list[int], calls: list[Call], folder: Path) -> Iterator[None]:
    """Watch these processes and those that they start, until the block ends; then fill ``calls``.

    Raises:
        NotPermitted: strace may not attach to them.
    """
    noted, said = folder / "strace.txt", folder / "strace.log"
    command = ["strace", "-f", "-yy", "-s", "65536", "-e", f"trace={WATCHED}", "-e", "signal=none", "-o", str(noted)]
    command += [argument for pid in pids for argument in ("-p", str(pid))]
    with said.open("wb") as log:
        strace = subprocess.Popen(command, stderr=log)
    leash.hold(strace.pid)
    try:
        wait_until(lambda: strace.poll() is not None or all(map(_all_watched, pids)), "strace is attached", 10)
        if strace.poll() is not None:
            raise NotPermitted(said.read_text())
        yield
    finally:
        strace.terminate()  # it lets go of the processes first
        strace.wait(timeout=30)
    calls += read(noted)


def _all_watched(pid: int) -> bool:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return not any("TracerPid:\t0\n" in (task / "status").read_text() for task in tasks)


def read(noted: Path) -> list[Call]:
    """Return the calls of a log of strace that succeeded, ordered by their beginning."""
    calls: list[Call] = []
    unfinished: dict[str, Call] = {}
    with noted.open(encoding="latin-1") as lines:
        for place, line in enumerate(lines):
            if not (found := LINE.match(line)):
                continue
            rest = found["rest"]
            if found["name"]:
                call = Call(found["name"], found["target"], _unescaped(rest), place, place)
            else:
                call = unfinished.pop(found["task"])
                call.ended = place
            if rest.endswith("<unfinished ...>"):
                unfinished[found["task"]] = call
            elif not FAILED.search(rest, max(0, len(rest) - 80)):
                calls.append(call)
    return sorted(calls, key=lambda call: call.began)


def _unescaped(text: str) -> str:
    return ESCAPE.sub(lambda found: MEANINGS.get(found[1]) or _character(found[1]), text)


def _character(escaped: str) -> str:
    return chr(int(escaped, 8)) if escaped[0].isdigit() else escaped
