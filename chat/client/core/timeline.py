"""The part of a room's messages that a client holds: one window, up to the newest, in the order of their numbers.

Sans I/O. Merging follows docs/protocol.md, section 4: of two states of a message, the higher ``changed_seq`` wins; a
message that is not held is taken only within or after the window.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from chat.wire.protocol import HistoryPage, Message


@dataclass(slots=True)
class Timeline:
    """Messages by number.

    Args:
        keep: How many messages are kept. Older ones leave when new ones arrive; ``history`` brings them back.
        me: The signed-in user's id. ``mine`` returns this user's reactions.
    """

    keep: int = 1000
    me: str | None = None
    first: int | None = None
    """Number of the oldest message in the window; None until something was loaded. ``last`` + 1 when it is empty."""
    last: int = 0
    _messages: dict[int, Message] = field(default_factory=dict)
    _mine: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_loaded(self) -> bool:
        return self.first is not None

    def __iter__(self) -> Iterator[Message]:
        """The messages in order. Numbers may be missing while the client catches up."""
        for number in range(self.first or 1, self.last + 1):
            if number in self._messages:
                yield self._messages[number]

    def __len__(self) -> int:
        return len(self._messages)

    def at(self, number: int) -> Message | None:
        return self._messages.get(number)

    def mine(self, number: int) -> tuple[str, ...]:
        """The user's own reactions to a message, as far as known."""
        return self._mine.get(number, ())

    def start_after(self, number: int) -> None:
        """Begin with an empty window after ``number``, the newest there is."""
        self.clear()
        self.first, self.last = number + 1, number

    def merge(self, message: Message, mine: list[str] | None = None) -> bool:
        """Take a message's state; True if the message now has this state.

        Args:
            mine: The user's own reactions if the server sent them; None: they are worked out from the message.
        """
        held = self._messages.get(message.number)
        if held is None:
            if self.first is None or message.number < self.first:
                return False
        elif held.changed_seq >= message.changed_seq:
            if held.changed_seq == message.changed_seq and mine is not None:
                self._mine[message.number] = tuple(mine)
            return False
        self._mine[message.number] = tuple(mine) if mine is not None else self._own_reactions(message)
        self._messages[message.number] = message
        self.last = max(self.last, message.number)
        return True

    def merge_page(self, page: HistoryPage) -> bool:
        """Take in a page of history; False if it does not touch the window and so stays outside."""
        if not page.messages:
            return False
        first, last = page.messages[0].number, page.messages[-1].number
        if self.first is None:
            if page.more_after:
                return False
            self.first, self.last = first, last
        elif last < self.first - 1 or first > self.last + 1:
            return False
        self.first = min(self.first, first)
        for message in page.messages:
            self.merge(message, page.mine.get(message.id, []))
        return True

    def trim(self) -> None:
        """Drop the oldest messages beyond ``keep``."""
        while self.first is not None and len(self._messages) > self.keep:
            self._messages.pop(self.first, None)
            self._mine.pop(self.first, None)
            self.first += 1

    def clear(self) -> None:
        self._messages.clear()
        self._mine.clear()
        self.first, self.last = None, 0

    def _own_reactions(self, message: Message) -> tuple[str, ...]:
        """Work out the user's own reactions from a live event, which is the same for everybody.

        An event names the first 50 people of each reaction. Where the user may be among the others, what was known
        before still counts.
        """
        if not message.reactions:
            return ()
        known = self._mine.get(message.number, ())
        return tuple(
            each.emoji
            for each in message.reactions
            if self.me in each.users or (len(each.users) < each.count and each.emoji in known)
        )
