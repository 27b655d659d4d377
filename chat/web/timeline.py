"""What the first paint of a room shows: its state, one page of its messages, and both as data for the scripts.

The partials that print it also print the templates that scripts clone and fill (``prototypes``), so nothing moves when
the scripts take over: in the reader's time zone, too, once their browser has told it (chat/web/time_zone.py).
"""

from datetime import date, datetime, timedelta
from functools import lru_cache
from html import unescape
from typing import Any

from django.http import Http404, HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, get_format
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from chat.access import reads
from chat.access.lookup import Entry
from chat.models.database import snapshot
from chat.web.script_texts import script_texts
from chat.web.timeline_rows import Day, Line, Notice, Row, colour_of, excerpt_of, initials_of, rows
from chat.wire import protocol
from chat.wire.errors import RoomNotFound
from chat.wire.protocol import HistoryPage, Message, RoomState, User

MENU_EMOJI = ("👍", "❤️", "😂", "🎉", "👀", "✅")
"""What the menu of a message offers to react with."""
QUOTE = gettext_lazy("{name}: {text}")
MANY_UNREAD = 40
"""With more unread messages than this, a room opens at the first of them and not at the newest."""
CLOCK = "%H:%M"
"""The format of a time of day in every language: of constant width, and the same in scripts (ui/dom.js)."""
ANY_NUMBER = 10**17
"""A number that no message has, for an address in which it is replaced: to make each anew takes long."""
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def room_context(request: HttpRequest, entry: Entry, around: int | None = None) -> dict[str, Any]:
    """What ``chat/_room.html`` needs of a room that the person may read.

    ``rows`` are the lines to print, ``first`` is the same as JSON, read in one snapshot with the room's state.

    Args:
        around: The number of a message to show in the middle, as the one that is meant; None: the newest ones, or,
            where much is unread, those around the first unread one.

    Raises:
        Http404: The person lost the room a moment ago.
    """
    try:
        with snapshot():
            state = reads.room_state(request.user, entry.room.pk)
            start = around if around is not None else _first_unread(state) if state.unread > MANY_UNREAD else None
            page = reads.history(request.user, entry.room.pk, around=start)
    except RoomNotFound:
        raise Http404 from None
    view = _View(state, target=around)
    is_asked_in = state.kind == "open" and not state.archived and state.role is None
    may_join = state.why_silent == "may_join"
    return {
        "room": state,
        "can_write": view.can_write,
        "rows": [view.line(row) for row in _rows(request.user, state, page)],
        "target": around,
        "hint": view.hint(page),
        "more_after": page.more_after,
        "people": view.texts["members"].format(count=state.member_count),
        "outside": view.texts[f"silent.{state.why_silent}"] if state.why_silent else "",
        "may_join": may_join,
        "is_kept_out": is_asked_in and not may_join,
        "first": _json({"state": state, "history": page}),
    }


def _rows(user: Any, state: RoomState, page: HistoryPage) -> list[Row]:
    return rows(
        page.messages,
        more_before=page.more_before,
        more_after=page.more_after,
        day_of=lambda at: _local(at).date().isoformat(),
        me=str(user.pk),
        mine=page.mine,
        members=() if state.kind == "direct" else page.members,
        quoted=page.quoted,
        unread_from=_first_unread(state),
    )


def _first_unread(state: RoomState) -> int | None:
    return state.read + 1 if state.role and state.unread else None


def _json(value: Any) -> SafeString:
    """For a script element: no ``<`` that could end it, no line end that JavaScript knows and JSON doesn't."""
    return mark_safe(protocol.encode(value).decode().translate(ESCAPES))  # noqa: S308


def _local(at: str) -> datetime:
    return timezone.localtime(datetime.fromisoformat(at))


def prototypes() -> dict[str, Any]:
    """Rows with every part that they can have, and what else ``chat/_templates.html`` prints for scripts to clone."""
    reaction = {"emoji": "", "count": "", "label": "", "is_mine": False}
    message = {
        "kind": "message",
        "is_prototype": True,
        "classes": "message",
        "avatar": {"url": "data:,", "initials": "?", "colour": 1},
        "quote": _quote_of("", ""),
        "reactions": [reaction],
    }
    others = ("day", "unread", "notice", "hole", "pending")
    return {
        "rows": [message, *({"kind": kind, "is_prototype": True} for kind in others)],
        "room_link": {"id": "0", "is_prototype": True},
        "reactions": [{"emoji": each, "label": _("React with {emoji}").format(emoji=each)} for each in MENU_EMOJI],
    }


class _View:
    """Rows → what the templates print. ui/message-view.js fills the same parts."""

    def __init__(self, state: RoomState, target: int | None):
        self.texts = script_texts()
        self.can_write = state.may_write
        self._state = state
        self._target = target
        self._address = reverse("chat:message", args=[state.id, ANY_NUMBER])

    def hint(self, page: HistoryPage) -> str:
        if page.more_before:
            return self.texts["loadingOlder"]
        return self.texts["beginning" if page.messages else "noMessages"]

    def line(self, row: Row) -> dict[str, Any]:
        match row:
            case Day():
                return {"kind": row.kind, "key": row.key, "text": day_name(row.day)}
            case Notice():
                return {"kind": row.kind, "key": row.key, "text": self._notice(row)}
            case Line():
                return self._message(row)
        return {"kind": row.kind, "key": row.key}

    def _message(self, row: Line) -> dict[str, Any]:
        message, at = row.message, _local(row.message.created_at)
        looks = {
            "message": True,
            "message--continues": row.continues,
            "message--own": row.own,
            "message--deleted": message.deleted_at is not None,
            "message--target": message.number == self._target,
        }
        return {
            "kind": row.kind,
            "key": row.key,
            "id": message.id,
            "number": message.number,
            "classes": " ".join(name for name, wanted in looks.items() if wanted),
            "is_target": message.number == self._target,
            "author": self._name(message.author),
            "avatar": None if row.continues else _avatar(message.author),
            "continues": row.continues,
            "href": self._url(message.number),
            "at": message.created_at,
            "time": at.strftime(CLOCK),
            "moment": moment_name(at),
            "quote": self._quote(message, row.quoted),
            "quote_href": message.reply_to and self._url(message.reply_to.number),
            "is_deleted": message.deleted_at is not None,
            "html": self._html(message),
            "reactions": [
                {
                    "emoji": each.emoji,
                    "count": each.count,
                    "is_mine": each.emoji in row.mine,
                    "label": self.texts["reaction"].format(emoji=each.emoji, count=each.count),
                }
                for each in message.reactions
            ],
            "has_menu": not message.deleted_at,
        }

    def _url(self, number: int) -> str:
        before, _number, after = self._address.rpartition(str(ANY_NUMBER))
        return f"{before}{number}{after}"

    def _name(self, author: User | None) -> str:
        return author.name if author else self.texts["unknownAuthor"]

    def _quote(self, message: Message, quoted: Message | None) -> str:
        if message.reply_to is None:
            return ""
        if quoted is None:
            return self.texts["inReplyToNumber"].format(number=message.reply_to.number)
        words = self.texts["quotedDeleted"] if quoted.deleted_at else excerpt_of(unescape(strip_tags(quoted.html)))
        return _quote_of(self._name(quoted.author), words)

    def _html(self, message: Message) -> SafeString:
        # It was sanitised when the message was stored.
        html = message.html
        if message.edited_at:
            moment = moment_name(_local(message.edited_at))
            inside, end, rest = html.rpartition("</p>") if html.rstrip().endswith("</p>") else (html, "", "")
            span = render_to_string("chat/_edited.html", {"moment": moment}).strip()
            html = f"{inside}{span}{end}{rest}"
        return mark_safe(html)  # noqa: S308

    def _notice(self, row: Notice) -> str:
        names = [each.name or self.texts["unknownAuthor"] for each in row.users]
        by = row.by.name if row.by else ""
        return self.texts[f"notice.{row.what}"].format(names=self._names(names), by=by)

    def _names(self, names: list[str]) -> str:
        match names:
            case [one]:
                return one
            case [first, second]:
                return self.texts["namesTwo"].format(first=first, second=second)
            case [first, second, third]:
                return self.texts["namesThree"].format(first=first, second=second, third=third)
        return self.texts["namesMany"].format(first=names[0], second=names[1], count=len(names) - 2)


def _quote_of(name: str, text: str) -> SafeString:
    """The line above a reply. Each of the two is isolated: a left-to-right name and a right-to-left text would
    otherwise change places."""
    return format_html(
        str(QUOTE),
        name=format_html('<bdi data-part="quote-author">{}</bdi>', name),
        text=format_html('<bdi data-part="quote-text">{}</bdi>', text),
    )


def _avatar(author: User | None) -> dict[str, Any]:
    if author is None:
        return {"initials": "?", "colour": colour_of(""), "url": None}
    initials = "" if author.avatar else initials_of(author.name)
    return {"initials": initials, "colour": colour_of(author.id), "url": author.avatar}


def day_name(day: str) -> str:
    """A calendar day as a heading says it."""
    value, today = date.fromisoformat(day), timezone.localdate()
    if value in (today, today - timedelta(days=1)):
        return script_texts()["today" if value == today else "yesterday"]
    if value.year == today.year:
        return date_format(value, "l, " + get_format("MONTH_DAY_FORMAT"))
    return date_format(value, _date_format())


def moment_name(at: datetime) -> str:
    """A day with its weekday, and the time: in full, for readers who ask when exactly something was said."""
    return f"{_day_in_full(at.date(), get_language())}, {at.strftime(CLOCK)}"


@lru_cache(maxsize=1_000)
def _day_in_full(day: date, language: str | None) -> str:
    return date_format(day, f"l, {_date_format()}")


def _date_format() -> str:
    # "N" is the month in newspaper style, which only English dates use and no browser knows.
    return str(get_format("DATE_FORMAT").replace("N", "F"))
