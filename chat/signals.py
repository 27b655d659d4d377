"""Signals that tell the site's own code what happened in the chat, once it is stored.

    from chat.signals import message_posted

    @receiver(message_posted)
    def mail_who_waits(message, **_):
        ...

Receivers run in a thread of their own, ``chat-signals``, of the process that made the change, one after the other in
the order of the commits: no acknowledgement and no page waits for them, so they may query the database and send mail.
What a receiver raises is logged, and the others are called all the same.

Each event is sent at most once. Events that wait when a process is killed are lost, and so are those that find 10,000
others waiting (which is logged). An import sends nothing: a receiver that mails what is posted must not mail years of
it. Where nothing may be missed, keep the number of the last message that you handled, and read on from there.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import Error, models
from django.dispatch import Signal

from chat.models import Membership, Message, Room
from chat.models.database import on_commit
from chat.models.database_errors import is_unavailable
from chat.runtime import pools
from chat.runtime.safe_logging import describe
from chat.wire import protocol

logger = logging.getLogger(__name__)

message_posted = Signal()
"""``message``: the new Message, with its room and author. Not sent for imported messages."""
message_changed = Signal()
"""``message``: a Message as it is after an edit, a reaction or its deletion (``message.is_deleted``)."""
member_joined = Signal()
"""``membership``: the Membership, with its room and user."""
member_left = Signal()
"""``membership``: that of the person who left or was removed; its ``user`` is None if the account was deleted."""
room_changed = Signal()
"""``room``: a Room with a new name or topic, or archived, or opened again."""

WAITING_AT_MOST = 10_000
LAST_WORDS_S = 5.0
"""How long a process that exits waits for its receivers."""


@dataclass(frozen=True, slots=True)
class _News:
    signal: Signal
    model: type[models.Model]
    name: str
    key: dict[str, Any]

    def tell(self) -> None:
        # None selects no relation: calling `select_related` without arguments is deprecated from Django 6.1 on.
        related = _RELATED.get(self.model, (None,))
        row: Any = self.model._default_manager.select_related(*related).get(**self.key)
        self.signal.send_robust(self.model, **{self.name: row})


_RELATED: dict[type[models.Model], tuple[str, ...]] = {
    Message: ("room", "author"),
    Membership: ("room", "user"),
}


def tell_on_commit(room: Room, events: Iterable[protocol.RoomEvent]) -> None:
    """Send the signals of durable changes once the open transaction commits, as far as they have receivers."""
    told = [_news_of(room, event) for event in events]
    news = [each for each in told if each is not None and each.signal.has_listeners(each.model)]
    if news:
        on_commit(lambda: _herald.hand_in(news))


def wait_until_told(timeout_s: float = 5.0) -> bool:
    """Wait until receivers were called for everything committed so far; False after ``timeout_s``. For tests."""
    return _herald.wait(timeout_s)


def _news_of(room: Room, event: protocol.RoomEvent) -> _News | None:
    match event:
        case protocol.MessagePosted(message=message):
            return _News(message_posted, Message, "message", {"pk": int(message.id)})
        case protocol.MessageChanged(message=message):
            return _News(message_changed, Message, "message", {"pk": int(message.id)})
        case protocol.MemberJoined(member=member):
            return _News(member_joined, Membership, "membership", {"room": room.pk, "user_key": member.user.id})
        case protocol.MemberLeft(member=member):
            return _News(member_left, Membership, "membership", {"room": room.pk, "user_key": member.user.id})
        case protocol.RoomChanged():
            return _News(room_changed, Room, "room", {"pk": room.pk})
        case _:
            return None


class _Herald:
    """The thread that calls receivers. It starts with the first event that has one."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Reset after fork(): the thread lives only in the parent, which still tells what waits."""
        self._queue: queue.Queue[_News] = queue.Queue(WAITING_AT_MOST)
        self._starting = threading.Lock()  # the parent's may have been held during fork()
        self._thread: threading.Thread | None = None

    def hand_in(self, news: list[_News]) -> None:
        self._start()
        for done, each in enumerate(news):
            try:
                self._queue.put_nowait(each)
            except queue.Full:
                logger.error("%d events were not told: %d others wait already", len(news) - done, WAITING_AT_MOST)
                return

    def wait(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                if (left_s := deadline - time.monotonic()) <= 0:
                    return False
                self._queue.all_tasks_done.wait(left_s)
        return True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chat-signals", daemon=True)
                self._thread.start()
                atexit.register(self.wait, LAST_WORDS_S)

    def _run(self) -> None:
        pools.use_own_thread()
        while True:
            news = self._queue.get()
            try:
                _twice(news.tell)
            except ObjectDoesNotExist:
                pass  # the row has been deleted meanwhile
            except Exception as error:
                logger.error("an event was not told: %s", describe(error))
            finally:
                # An idle thread keeps no connection: the next event may be hours away.
                pools.release_connections() if self._queue.qsize() else pools.close_connections()
                self._queue.task_done()


def _twice(work: Callable[[], None]) -> None:
    """Run ``work``, and once more on a new connection if the old one had died."""
    try:
        work()
    except Error as error:
        if not is_unavailable(error):
            raise
        pools.close_connections()
        work()


_herald = _Herald()
os.register_at_fork(after_in_child=_herald.forget)
