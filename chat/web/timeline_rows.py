"""What a timeline shows, line by line, for the first paint: the twin of ``static/chat/js/timeline-rows.js``.

``tests/wire/timeline_rows.json`` binds the two together: what the server prints is what the scripts draw.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from msgspec import UNSET

from chat.wire.protocol import Member, Message, User

GROUP = timedelta(minutes=5)
COLOURS = 8
QUOTE_CHARS = 140

What = Literal["added", "joined", "left", "removed"]


@dataclass(frozen=True)
class Day:
    key: str
    day: str
    kind: str = "day"


@dataclass(frozen=True)
class Unread:
    """Above the first message that was unread when the room was opened."""

    key: str = "unread"
    kind: str = "unread"


@dataclass(frozen=True)
class Notice:
    """Who came or went. ``by``: who added or removed them."""

    key: str
    what: What
    users: tuple[User, ...]
    by: User | None
    kind: str = "notice"


@dataclass(frozen=True)
class Line:
    """A message. ``continues``: by the same person as the line before, soon after it."""

    key: str
    message: Message
    continues: bool
    own: bool
    mine: Sequence[str]
    quoted: Message | None
    kind: str = "message"


Row = Day | Unread | Notice | Line


@dataclass(frozen=True)
class Coming:
    at: str
    what: What
    user: User
    by: User | None = None

    def is_before(self, at: str) -> bool:
        """Whether its line stands above a message of that moment: somebody who came in the same moment came first."""
        return self.at < at or (self.at == at and self.what in ("added", "joined"))


@dataclass
class _Before:
    """What the next line needs to know of the line before."""

    day: str | None = None
    author: str | None = ""
    time: datetime | None = None


def rows(
    messages: Sequence[Message],
    *,
    more_before: bool,
    more_after: bool,
    day_of: Callable[[str], str],
    me: str | None = None,
    mine: Mapping[str, Sequence[str]] | None = None,
    members: Iterable[Member] = (),
    quoted: Iterable[Message] = (),
    unread_from: int | None = None,
) -> list[Row]:
    """The lines of one page of history.

    Args:
        members: Who came or went lately.
        quoted: What the messages reply to, where it is not one of them.
        unread_from: The number of the first message that is unread.
        day_of: The calendar day of a moment of the wire.
    """
    if unread_from is not None and messages and unread_from < (messages[0].number if more_before else 1):
        unread_from = None
    by_number = {each.number: each for each in (*quoted, *messages)}
    lines = _Lines(day_of, me, mine or {}, by_number, unread_from)
    comings = _comings(members, messages, more_before, more_after)
    for message in messages:
        while comings and comings[0].is_before(message.created_at):
            lines.add_coming(comings.pop(0))
        lines.add_message(message)
    for coming in comings:
        lines.add_coming(coming)
    return lines.shown


class _Lines:
    """The lines so far. They decide whether the next one begins a day or continues the line before."""

    def __init__(
        self,
        day_of: Callable[[str], str],
        me: str | None,
        mine: Mapping[str, Sequence[str]],
        by_number: Mapping[int, Message],
        unread_from: int | None,
    ):
        self.shown: list[Row] = []
        self._day_of = day_of
        self._me = me
        self._mine = mine
        self._by_number = by_number
        self._unread_from = unread_from
        self._before = _Before()
        self._days: set[str] = set()  # a clock that went back brings a day a second time

    def add_message(self, message: Message) -> None:
        day = self._start_day(message.created_at)
        breaks = message.reply_to is not None
        if self._unread_from is not None and message.number >= self._unread_from:
            self.shown.append(Unread())
            self._unread_from, breaks = None, True
        before, author, time = self._before, _id(message.author), datetime.fromisoformat(message.created_at)
        soon = before.time is not None and time - before.time < GROUP
        own = self._me is not None and author == self._me
        self.shown.append(
            Line(
                key=f"mine:{message.client_id}" if own and message.client_id else f"message:{message.id}",
                message=message,
                continues=not breaks and soon and before.day == day and before.author == author,
                own=own,
                mine=self._mine.get(message.id, ()),
                quoted=self._by_number.get(message.reply_to.number) if message.reply_to else None,
            )
        )
        self._before = _Before(day, author, time)

    def add_coming(self, coming: Coming) -> None:
        day = self._start_day(coming.at)
        last = self.shown[-1]
        if isinstance(last, Notice) and last.what == coming.what and _id(last.by) == _id(coming.by):
            self.shown[-1] = replace(last, users=(*last.users, coming.user))
        else:
            self.shown.append(Notice(f"notice:{coming.what}:{coming.user.id}", coming.what, (coming.user,), coming.by))
        self._before = _Before(day)

    def _start_day(self, at: str) -> str:
        day = self._day_of(at)
        if day != self._before.day:
            key = f"day:{day}:{len(self.shown)}" if day in self._days else f"day:{day}"
            self.shown.append(Day(key, day))
        self._days.add(day)
        return day


def _comings(
    members: Iterable[Member], messages: Sequence[Message], more_before: bool, more_after: bool
) -> list[Coming]:
    """Who came and went in the span of time that is shown, in order."""
    first = messages[0].created_at if messages and more_before else ""
    last = messages[-1].created_at if messages and more_after else "~"
    found = []
    for member in members:
        by = None if member.by is UNSET else member.by
        if member.left_at:
            found.append(Coming(member.left_at, "removed" if by else "left", member.user, by))
            by = None  # what is known is who did the latest
        found.append(Coming(member.joined_at, "added" if by else "joined", member.user, by))
    return sorted(
        (each for each in found if first <= each.at <= last),
        key=lambda each: f"{each.at} {each.what} {each.user.id}",
    )


def _id(user: User | None) -> str | None:
    return user.id if user else None


def colour_of(user_id: str) -> int:
    """The number of a person's avatar colour, 1 … 8."""
    number = 0
    for character in user_id:
        number = (number * 31 + ord(character)) % 65_536
    return 1 + number % COLOURS


def initials_of(name: str) -> str:
    """The initials in a person's avatar."""
    words = name.split()
    if not words:
        return "?"
    return "".join(word[0].upper() for word in (words[0], *words[1:][-1:]))


def excerpt_of(body: str) -> str:
    """The beginning of a quoted message, in one line."""
    line = re.sub(r"\s+", " ", body.strip())
    return f"{line[:QUOTE_CHARS]}…" if len(line) > QUOTE_CHARS else line
