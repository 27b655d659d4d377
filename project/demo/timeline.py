"""Turn a room's script into messages: fill in the patterns and set the times. The same seed gives the same texts."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid5

from project.demo.scripts import Line, RoomScript, Thread, people, slots

NAMESPACE = UUID("6f1d8a52-0f0f-5c0e-9d3c-9c1f7a0d8e11")
SPAN = timedelta(days=42)
SCALES = {"small": 0.15, "full": 3.0}
"""How often patterns are used, as a multiple of what the script says. Rooms with a fixed hour never get more."""
CHOICE = re.compile(r"\(\(([^()|]*(?:\|[^()|]*)+)\)\)")
NUMBER = re.compile(r"\{n:(\d+)-(\d+)\}")
SLOT = re.compile(r"\{([a-z]+)(\d?)\}")


@dataclass
class Said:
    """One message of the demo."""

    client_id: UUID
    author: str
    text: str
    at: datetime
    to: UUID | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    reactions: list[tuple[str, str]] = field(default_factory=list)


def key(*names: object) -> UUID:
    """A stable id for a room or message of the demo, by which a second run finds what the first one made."""
    return uuid5(NAMESPACE, "/".join(map(str, names)))


def messages(script: RoomScript, *, now: datetime, scale: str, seed: int) -> list[Said]:
    """All messages of a room, oldest first."""
    dice = Random(f"{seed}/{script.key}")  # noqa: S311  # not for secrets
    pattern = _Pattern(script, dice)
    threads = [pattern.fill(*each) for each in _arranged(script, scale, dice)]
    said: list[Said] = []
    for start, thread in zip(_starts(script, threads, now, dice), threads, strict=True):
        at = start
        for place, (each, pause) in enumerate(thread):
            at = start if not place else at + pause
            each.at = at
            each.edited_at = min(now, at + timedelta(minutes=dice.uniform(1, 9))) if each.edited_at else None
            each.deleted_at = min(now, at + timedelta(seconds=dice.uniform(20, 90))) if each.deleted_at else None
            said.append(each)
    return said


def _arranged(script: RoomScript, scale: str, dice: Random) -> list[tuple[Thread, int]]:
    """The threads in order, each with its number. Threads used once keep their order, with patterns in between."""
    once = [(each, 0) for each in script.threads if not each.times]
    factor = min(1.0, SCALES[scale]) if "at" in script.head else SCALES[scale]
    often = [
        (each, number)
        for each in script.threads
        for number in range(max(1, round(each.times * factor)) if each.times else 0)
    ]
    dice.shuffle(often)
    places = sorted(dice.randrange(max(1, len(once))) for _ in often)
    merged: list[tuple[Thread, int]] = []
    for place, each in enumerate(once):
        merged += [often.pop() for wanted in places if wanted == place]
        merged.append(each)
    return merged + often


_Timed = list[tuple[Said, timedelta]]


class _Pattern:
    """Fills in names, choices and slots. It draws from lists as from a deck of cards, so that nothing repeats soon."""

    def __init__(self, script: RoomScript, dice: Random):
        self._script = script
        self._dice = dice
        self._lists = slots()
        self._decks: dict[str, list[int]] = {}

    def fill(self, thread: Thread, number: int) -> _Timed:
        cast = self._cast(thread)
        drawn: dict[str, int] = {}
        name: Callable[[str], str] = lambda who: cast.get(who, who)  # noqa: E731
        labels: dict[str, UUID] = {}
        timed: _Timed = []
        for place, line in enumerate(thread.lines):
            said = Said(
                client_id=key(self._script.key, thread.title, number, place),
                author=name(line.speaker),
                text=self._text(line.text, cast, drawn),
                at=datetime.min,
                to=labels[line.to] if line.to else None,
                edited_at=datetime.min if line.is_edited else None,
                deleted_at=datetime.min if line.is_deleted else None,
                reactions=[(emoji, name(who)) for emoji, names in line.reactions for who in names],
            )
            labels[line.label] = said.client_id
            timed.append((said, self._pause(line)))
        return timed

    def _cast(self, thread: Thread) -> dict[str, str]:
        named = {each.speaker for each in thread.lines}
        free = [each for each in self._script.people if each not in named]
        self._dice.shuffle(free)
        return dict(zip(("$a", "$b", "$c", "$d"), free, strict=False))

    def _text(self, text: str, cast: dict[str, str], drawn: dict[str, int]) -> str:
        text = CHOICE.sub(lambda found: self._dice.choice(found[1].split("|")), text)
        text = NUMBER.sub(lambda found: str(self._dice.randint(int(found[1]), int(found[2]))), text)
        text = SLOT.sub(lambda found: self._slot(found, drawn), text)
        for who, person in cast.items():
            text = text.replace(who, people()[person]["name"].split()[0])
        return text

    def _slot(self, found: re.Match[str], drawn: dict[str, int]) -> str:
        values: Any = self._lists.get(found[1])
        if values is None:
            return found[0]  # {you}, or braces in code
        deck = self._lists["pairs"].get(found[1], found[1])
        if (card := deck + found[2]) not in drawn:
            drawn[card] = self._draw(deck)
        value: str = values[drawn[card]]
        return value

    def _draw(self, name: str) -> int:
        if not self._decks.get(name):
            self._decks[name] = list(range(len(self._lists[name])))[::-1]
            if name != "version":
                self._dice.shuffle(self._decks[name])
        return self._decks[name].pop()

    def _pause(self, line: Line) -> timedelta:
        return line.pause or timedelta(seconds=round(12 + len(line.text) / 8 + self._dice.expovariate(1 / 50)))


def _starts(script: RoomScript, threads: list[_Timed], now: datetime, dice: Random) -> list[datetime]:
    """When each thread begins: in working hours, and no two at once. The last one ends a little before ``now``."""
    lengths = [sum((pause for _, pause in each[1:]), timedelta()) for each in threads]
    if "at" in script.head:
        hour, minute = map(int, script.head["at"].split(":"))
        wanted = _mornings(len(threads), hour, minute, now)
        late = [timedelta(minutes=dice.uniform(0, 9)) for _ in threads]
        return [min(at + by, now - length) for at, by, length in zip(wanted, late, lengths, strict=True)]
    end = now - (SPAN * 0.8 if script.has("oldest") else timedelta())
    wanted = sorted(_working_hour(dice, now - SPAN, end) for _ in threads)
    free_until = end - timedelta(minutes=dice.uniform(3, 25) if script.unread else dice.uniform(60, 1_000))
    starts: list[datetime] = []
    for at, length in zip(reversed(wanted), reversed(lengths), strict=True):
        start = free_until - length if not starts else min(at, free_until - length)
        free_until = start - timedelta(minutes=dice.uniform(4, 15))
        starts.append(start)
    return starts[::-1]


def _working_hour(dice: Random, since: datetime, until: datetime) -> datetime:
    while True:
        day = since + (until - since) * dice.random()
        at = day.replace(hour=0, minute=0) + timedelta(hours=dice.triangular(7, 18.5, 10.5))
        # Now and then somebody writes at a weekend.
        if at < until and (at.weekday() < 5 or dice.random() < 0.06):
            return at


def _mornings(count: int, hour: int, minute: int, now: datetime) -> list[datetime]:
    """The last ``count`` weekdays at the given time, oldest first."""
    found: list[datetime] = []
    at = now.replace(hour=hour, minute=minute, second=0)
    while len(found) < count:
        if at.weekday() < 5 and at < now - timedelta(hours=1):
            found.append(at)
        at -= timedelta(days=1)
    return found[::-1]
