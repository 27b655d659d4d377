"""What the application has not yet taken from one room: each message once, in order and without gaps; and other news.

Sans I/O. Messages are never dropped: one that does not fit into memory, or never came as an event, is fetched with
``history`` when its turn comes. Other news is bounded; ``Overflowed`` tells the application that some was dropped.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from chat.client.core.actions import Overflowed, RoomNews
from chat.wire import protocol
from chat.wire.protocol import HistoryPage, Message

AHEAD_AT_MOST = 256
"""Messages kept in memory past the last one taken; more than two pages of ``history``, so that a page always fits."""
TAKEN_KEPT = 200
"""Messages taken last that are remembered, so that a restored backup does not bring them a second time."""
TOLD_KEPT = 2000
"""Messages whose last told change is remembered, so that an interrupted catch-up does not tell it a second time."""

Identity = tuple[str | None, str | None, str]


def _identity(message: Message) -> Identity:
    """What tells two messages apart that got the same number, or the same id, before and after a restored backup."""
    return (message.author.id if message.author else None, message.client_id, message.created_at)


@dataclass(slots=True)
class Inbox:
    """Hand out one room's news at the pace of the application.

    Args:
        position: Number of the last message that the application has taken; None: start with the room's next one.
        epoch: The numbering that ``position`` belongs to.
    """

    room: str
    position: int | None = None
    epoch: str | None = None
    news_at_most: int = 1000
    is_open: bool = False
    """Whether the application has begun to take news. Until then, news other than messages is not kept."""
    is_unsure: bool = False
    """Whether the newest number is unknown, so that only a page of history tells whether messages wait."""
    _newest: int = 0
    _floor: int = 0
    """Messages up to this number do not come as events any more: those that are not here must be fetched."""
    _ahead: dict[int, Message] = field(default_factory=dict)
    _news: deque[tuple[int, RoomNews]] = field(default_factory=deque)
    _is_overflowed: bool = False
    _taken: deque[tuple[int, Identity]] = field(default_factory=lambda: deque(maxlen=TAKEN_KEPT))
    _told: OrderedDict[int, int] = field(default_factory=OrderedDict)
    _known: dict[int, Identity] = field(default_factory=dict)

    @property
    def fetch_after(self) -> int | None:
        """The number after which a page of history is needed now, or None."""
        if self.position is None or self.position + 1 in self._ahead:
            return None
        return self.position if self.position < self._floor or self.is_unsure else None

    @property
    def has_news(self) -> bool:
        """Whether something other than messages waits to be taken."""
        return bool(self._news) or self._is_overflowed

    def take(self) -> RoomNews | None:
        """Return the next news for the application, or None if there is none yet."""
        if self._is_overflowed:
            self._is_overflowed = False
            return Overflowed(self.room)
        if self.position is None:
            return None
        while not (self._news and (self._news[0][0] <= self.position or self.position >= self._newest)):
            message = self._ahead.pop(self.position + 1, None)
            if message is None:
                return None
            self.position += 1
            self._tell(message)
            if not self._was_taken_before(message):
                self._taken.append((message.number, _identity(message)))
                return protocol.MessagePosted(room=self.room, seq=message.seq, message=message)
        return self._news.popleft()[1]

    def offer(self, message: Message) -> None:
        """Take a message's state, whether the application has had the message or not."""
        if self.position is None:
            return
        self._newest = max(self._newest, message.number)
        if message.number <= self.position:
            # In its first state it is no change: the application took it like this.
            if self._tell(message) and message.changed_seq != message.seq:
                self.add(protocol.MessageChanged(room=self.room, seq=message.changed_seq, message=message))
        elif message.number > self.position + AHEAD_AT_MOST:
            self._floor = max(self._floor, message.number)
        else:
            held = self._ahead.get(message.number)
            if held is None or held.changed_seq < message.changed_seq:
                self._ahead[message.number] = message

    def offer_page(self, page: HistoryPage) -> None:
        """Take the page that ``fetch_after`` asked for."""
        assert self.position is not None
        self.is_unsure = False
        for message in page.messages:
            self.offer(message)
        if page.more_after and page.messages:
            self.expect(page.messages[-1].number + 1)
        elif not page.more_after:
            # Nothing lies beyond the page. Without this, the inbox would ask for it again for ever.
            last = page.messages[-1].number if page.messages else self.position
            self._floor = min(self._floor, last)

    def expect(self, number: int) -> None:
        """The room has come as far as ``number``, and no message up to it will still come as an event."""
        self._newest = max(self._newest, number)
        self._floor = max(self._floor, number)

    def add(self, news: RoomNews, *, after: int | None = None) -> None:
        """Add news other than a new message, to be handed out after message number ``after`` (None: the newest one)."""
        if not self.is_open:
            return
        if isinstance(news, protocol.TypingChanged) and len(self._news) * 2 >= self.news_at_most:
            return  # typing is dropped first
        if len(self._news) >= self.news_at_most:
            self._news.clear()
            self._is_overflowed = True
        self._news.append((self._newest if after is None else after, news))

    def reset(self, reset: protocol.Reset) -> None:
        """Start over from the state in ``reset``; the application goes on after what it has taken."""
        newest = reset.state.last_number
        if self.position is None:
            self.position = newest
        elif self.epoch is not None and (reset.reason == "epoch" or self.epoch != reset.epoch):
            self._rewind(newest)
        self.epoch = reset.epoch
        self._ahead.clear()
        self._newest = self._floor = newest
        self.is_unsure = False
        # What happened before the reset is told before it, and it before every message that follows.
        self._news = deque((0, news) for _, news in self._news)
        if reset.reason != "new":
            self.add(reset, after=0)

    def _rewind(self, newest: int) -> None:
        """Go back as far as memory reaches, because numbers may have gone back and been given to other messages.

        ``take`` then skips each message that is still the one that was taken.
        """
        assert self.position is not None
        self._known |= dict(self._taken)  # entries that were not reached since an earlier rewind still count
        if self._known:
            self.position = min(self._known) - 1
        self.position = min(self.position, newest)
        self._taken.clear()
        self._told.clear()

    def _was_taken_before(self, message: Message) -> bool:
        if not self._known:
            return False
        if self._known.pop(message.number, None) == _identity(message):
            self._taken.append((message.number, _identity(message)))
            return True
        self._known.clear()  # from here on the history is a different one
        return False

    def _tell(self, message: Message) -> bool:
        """Note that this state is being told; False if it, or a later one, was told before."""
        if self._told.get(message.number, 0) >= message.changed_seq:
            return False
        self._told[message.number] = message.changed_seq
        self._told.move_to_end(message.number)
        if len(self._told) > TOLD_KEPT:
            self._told.popitem(last=False)
        return True
