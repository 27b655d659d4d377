"""One room as a client sees it: cursor, messages, members, state, and what the application has not yet taken.

Sans I/O. It stays correct through gaps, repeats, reconnects and resets (docs/protocol.md, section 4). Times are seconds
of any monotonic clock, passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import UNSET
from msgspec.structs import replace

from chat.client.core.cursor import RoomCursor, differ_in_run
from chat.client.core.inbox import Inbox
from chat.client.core.members import Members
from chat.client.core.room_state import with_member, with_message, with_read, with_room
from chat.client.core.timeline import Timeline
from chat.wire import protocol
from chat.wire.protocol import Cursor, HistoryPage, Member, MemberPage, Message, Room, RoomState

KEPT_AT_MOST = 2000
"""Message states kept for a page that is under way. With more, they are dropped and the page is asked for again."""

Access = Literal["unknown", "live", "denied", "removed"]


@dataclass(slots=True, eq=False)
class Load:
    """A page under way, and what happened in the room since it was asked for."""

    command: protocol.History | protocol.ListMembers
    on_page: Callable[[Any], None]
    on_error: Callable[[Exception], None]
    asked: Cursor | None = None
    kept: list[tuple[Message, list[str] | None]] = field(default_factory=list)
    refusals: int = 0
    held: HistoryPage | MemberPage | None = None
    """The page, while the client's events have yet to come as far."""

    def begin(self, position: Cursor | None) -> None:
        self.asked = position
        self.kept.clear()

    def keep(self, message: Message, mine: list[str] | None, position: Cursor | None) -> None:
        self.kept.append((message, mine))
        if len(self.kept) > KEPT_AT_MOST:
            self.begin(position)

    def is_stale(self, page: HistoryPage | MemberPage, position: Cursor | None) -> bool:
        """Whether the page is older than what the client had seen when it asked, or of another epoch or run.

        A run that the client has not come to yet is asked for again as well: by then, its events have come.
        """
        if position is None:
            return False
        if differ_in_run(page, position):
            return True
        return page.epoch != position.epoch or (self.asked is not None and page.seq < self.asked.seq)


@dataclass(slots=True, eq=False)
class RoomCore:
    """Apply what the server says about one room."""

    id: str
    cursor: RoomCursor
    inbox: Inbox
    timeline: Timeline
    state: RoomState | None = None
    members: Members = field(default_factory=Members)
    is_followed: bool = False
    access: Access = "unknown"
    loads: list[Load] = field(default_factory=list)
    is_fetching: bool = False
    """Whether a page for the inbox is under way."""
    window: int = 0
    """How many of the newest messages to load again after a reset; 0: none were asked for."""
    had_members: bool = False
    """Whether the members had been loaded before the last reset."""
    _settled: Cursor | None = None
    _me: str | None = None
    _paged_members: list[Member] = field(default_factory=list)
    _paged_room: Room | None = None

    @property
    def is_live(self) -> bool:
        """Whether everything up to a known point has come, and live events follow it."""
        return self.access == "live" and self.cursor.position is not None and not self.cursor.is_syncing

    @property
    def resume_cursor(self) -> Cursor | None:
        """The cursor from which the next run misses no news that the application has not taken.

        Messages do not count: the next run finds them by their numbers.
        """
        return self._settled if self.inbox.has_news else self.cursor.sync_from

    # Connections -----------------------------------------------------------------------------------------------

    def connected(self, me: str, state: RoomState | None) -> None:
        """A new connection is live. ``state`` is what the list of rooms says about the room, if anything."""
        self._me = self.timeline.me = me
        if state is not None:
            self.state = state

    def disconnected(self) -> None:
        self.cursor.disconnected()
        self._forget_pages()
        if self.access == "live":
            self.access = "unknown"

    def removed(self, event: protocol.RoomRemoved) -> None:
        self.access = "removed"
        self.cursor.disconnected()
        self._forget_pages()
        self.inbox.add(event)

    # Events ----------------------------------------------------------------------------------------------------

    def handle(self, event: protocol.Event, now: float) -> None:
        """Apply an event of this room."""
        if not self.inbox.has_news:
            self._settled = self.cursor.sync_from
        if isinstance(event, protocol.RoomEvent):
            for each in self.cursor.take(event, now):
                self._apply(each)
        elif isinstance(event, protocol.Changes):
            self._take_page(event)
        elif isinstance(event, protocol.Synced):
            self._synced(event, now)
        elif isinstance(event, protocol.Reset):
            self._reset(event)
        elif isinstance(event, protocol.ReadChanged):
            self.moved_read(event)
            self.inbox.add(event)
        elif isinstance(event, protocol.TypingChanged) and event.user != self._me:
            self.inbox.add(event)
        self.timeline.trim()

    def sync_ended(self, outcome: str, now: float) -> None:
        """The reply to ``sync`` says how this room stands."""
        self.access = "denied" if outcome == "denied" else "live"
        self._forget_pages()
        self.cursor.sync_ended(now)

    def moved_read(self, read: protocol.ReadChanged | protocol.ReadResult) -> None:
        if self.state is not None:
            self.state = with_read(self.state, read)

    def _apply(self, event: protocol.RoomEvent) -> None:
        if isinstance(event, protocol.MessagePosted | protocol.MessageChanged):
            self._put_message(event.message, None)
        elif isinstance(event, protocol.RoomChanged):
            self._put_room(event.state, event.seq)
        elif self._put_member(event.member, event.seq):
            if self.state is not None and event.member_count is not UNSET:
                self.state = replace(self.state, member_count=event.member_count)
            self.inbox.add(event)

    def _take_page(self, page: protocol.Changes) -> None:
        if self.cursor.position is None or page.epoch != self.cursor.position.epoch:
            return
        for message in page.messages:
            self._put_message(message, page.mine.get(message.id, []))
        # Members and the room have no changed_seq on the wire. They count as of the `synced` that ends the catch-up, so
        # that an older event which arrives in between does not undo them.
        self._paged_members += page.members
        self._paged_room = page.state or self._paged_room

    def _synced(self, event: protocol.Synced, now: float) -> None:
        for member in self._paged_members:
            if self._put_member(member, event.seq):
                moved = protocol.MemberLeft if member.left_at else protocol.MemberChanged
                self.inbox.add(moved(room=self.id, seq=event.seq, member=member))
        if self._paged_room is not None and self.cursor.position and self.cursor.position.seq <= event.seq:
            self._put_room(self._paged_room, event.seq)
        self._forget_pages()
        self._learn_newest()
        for each in self.cursor.synced(Cursor(event.epoch, event.seq, event.run), now):
            self._apply(each)

    def _learn_newest(self) -> None:
        """Note the newest number. After resuming from a stored cursor, the window begins there, and messages that were
        not taken before have to be fetched."""
        if self.inbox.epoch is None and self.cursor.position is not None:
            self.inbox.epoch = self.cursor.position.epoch
        if self.state is None:
            self.inbox.is_unsure = self.inbox.is_unsure or not self.timeline.is_loaded
            return
        if not self.timeline.is_loaded:
            self.timeline.start_after(self.state.last_number)
        self.inbox.expect(self.state.last_number)

    def _reset(self, event: protocol.Reset) -> None:
        position = Cursor(event.epoch, event.seq, event.run)
        self.cursor.reset(position)
        self.state = event.state
        self.timeline.start_after(event.state.last_number)
        self.had_members = self.had_members or self.members.is_loaded
        self.members.clear()
        self._forget_pages()
        self.inbox.reset(event)
        for load in self.loads:
            load.begin(position)

    # Things ----------------------------------------------------------------------------------------------------

    def _put_message(self, message: Message, mine: list[str] | None) -> None:
        for load in self.loads:
            load.keep(message, mine, self.cursor.position)
        self.timeline.merge(message, mine)
        self.inbox.offer(message)
        if self.state is not None:
            self.state = with_message(self.state, message, self._me)

    def _put_member(self, member: Member, seq: int) -> bool:
        if not self.members.put(member, seq):
            return False
        if self.state is not None:
            self.state = with_member(self.state, member, self._me)
        return True

    def _put_room(self, room: Room, seq: int) -> None:
        before = self.state
        if before is not None:
            self.state = with_room(before, room)
            # A page with members brings the room for its member count, which alone is no news.
            if self.state == replace(before, member_count=room.member_count, last_message_at=room.last_message_at):
                return
        self.inbox.add(protocol.RoomChanged(room=self.id, seq=seq, state=room))

    def _forget_pages(self) -> None:
        self._paged_members, self._paged_room = [], None

    def give_up_loads(self, error: Exception) -> None:
        """Fail the page loads: nothing more of the room will come."""
        loads, self.loads = self.loads, []
        for load in loads:
            load.on_error(error)

    # Pages -----------------------------------------------------------------------------------------------------

    def put_page(self, load: Load, page: HistoryPage | MemberPage) -> None:
        """Merge a page that is not stale, and then what happened while it was under way."""
        self.loads.remove(load)
        load.held = None
        if isinstance(page, MemberPage):
            self.members.put_page(page)
        else:
            self.timeline.merge_page(page)
            for message, mine in load.kept:
                self.timeline.merge(message, mine)
        load.on_page(page)
