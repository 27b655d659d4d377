"""Read the demo's texts: one file for each room, in a format that is quick to write.

A file has a head of ``key: value`` lines, then threads: ``== Title`` is used once, ``== x7 Title`` is a pattern for
seven threads. A message is ``ana [notes]: text``, and lines indented by two spaces continue it. Notes are separated by
semicolons: ``#label`` names the message, ``>label`` makes it a reply, ``+40m`` is the pause before it, ``edited`` and
``deleted`` mark the message as such, and ``👍 ben cleo`` lists who reacted. ``$a`` is a member of the room, the same
throughout a thread.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LINE = re.compile(r"^(\$?[a-z]+)(?: \[([^\]]*)\])?: ?(.*)$")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass
class Line:
    speaker: str
    text: str
    label: str = ""
    to: str = ""
    pause: timedelta | None = None
    is_edited: bool = False
    is_deleted: bool = False
    reactions: list[tuple[str, list[str]]] = field(default_factory=list)


@dataclass
class Thread:
    title: str
    times: int
    """How many threads are made from this pattern. 0 means that it is not a pattern and is used once."""
    lines: list[Line] = field(default_factory=list)


@dataclass
class RoomScript:
    key: str
    head: dict[str, str]
    threads: list[Thread]

    @property
    def people(self) -> list[str]:
        """The names of the room's members, the owner first."""
        named = self.head["people"].split()
        owner = self.head.get("owner", named[0])
        if named == ["all"]:
            named = [name for name, about in people().items() if not about.get("left")]
        return list(dict.fromkeys([owner, *named]))

    @property
    def is_direct(self) -> bool:
        return self.head["kind"] == "direct"

    @property
    def unread(self) -> int:
        return int(self.head.get("unread", "0"))

    def has(self, flag: str, default: str = "no") -> bool:
        return self.head.get(flag, default) == "yes"


def people() -> dict[str, dict[str, Any]]:
    """Each person's name, and whether they have left the team, by user name."""
    read: dict[str, dict[str, Any]] = json.loads((HERE / "people.json").read_text(encoding="utf-8"))
    return read


def slots() -> dict[str, Any]:
    """The lists of values for ``{lunch}`` and so on; ``pairs`` names lists whose entries belong together."""
    read: dict[str, Any] = json.loads((HERE / "slots.json").read_text(encoding="utf-8"))
    return read


def rooms() -> list[RoomScript]:
    """The scripts of all rooms in the order in which the rooms are made: by file name, direct rooms last."""
    read = [_read(path) for path in sorted((HERE / "texts").glob("*.md"))]
    return sorted(read, key=lambda each: each.is_direct)


def _read(path: Path) -> RoomScript:
    head_text, *parts = re.split(r"^== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    head = dict(line.split(": ", 1) for line in head_text.splitlines() if line)
    return RoomScript(path.stem, head, [_thread(part) for part in parts])


def _thread(part: str) -> Thread:
    title, *lines = part.rstrip().splitlines()
    if pattern := re.match(r"x(\d+) ", title):
        thread = Thread(title[pattern.end() :], int(pattern[1]))
    else:
        thread = Thread(title, 0)
    for line in lines:
        if said := LINE.match(line):
            thread.lines.append(_line(said[1], said[2] or "", said[3]))
        else:
            thread.lines[-1].text += "\n" + line[2:]
    return thread


def _line(speaker: str, notes: str, text: str) -> Line:
    line = Line(speaker, text)
    for note in filter(None, (each.strip() for each in notes.split(";"))):
        if note[0] == "#" and note[1:2].isalpha():
            line.label = note[1:]
        elif note[0] == ">":
            line.to = note[1:]
        elif note[0] == "+" and note[1:2].isdigit():
            line.pause = timedelta(**{UNITS[note[-1]]: int(note[1:-1])})
        elif note == "edited":
            line.is_edited = True
        elif note == "deleted":
            line.is_deleted = True
        else:
            emoji, *names = note.split()
            line.reactions.append((emoji, names))
    return line
