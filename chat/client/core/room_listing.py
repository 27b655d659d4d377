"""Loads the whole list of the user's rooms, page by page, when it is known to be out of date. Sans I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from chat.client.core.requests import Request, Requests
from chat.client.core.rooms import RoomList
from chat.wire import protocol
from chat.wire.protocol import ReplyEvent, RoomState

PAGE = 200
RETRY_S = 5.0


@dataclass(slots=True)
class Listing:
    """Load the list when ``RoomList.list_at`` is due.

    Args:
        on_change: Called with the rooms that are new, the ids of those that are gone, and the time.
    """

    rng: Callable[[], float]
    rooms: RoomList
    requests: Requests
    on_change: Callable[[list[RoomState], list[str], float], None]

    def run(self, now: float) -> None:
        if self.rooms.list_at is not None and self.rooms.list_at <= now:
            self.rooms.listing_started()
            self._ask(None)

    def _ask(self, after: str | None) -> None:
        command = protocol.ListRooms(ref=1, scope="mine", after=after, limit=PAGE)

        def answered(reply: ReplyEvent, now: float) -> None:
            self._answered(command, reply, now)

        self.requests.add(Request(command, answered))

    def _answered(self, command: protocol.ListRooms, reply: ReplyEvent, now: float) -> None:
        if not reply.ok:
            self.rooms.listing_failed(now + RETRY_S * (1 + self.rng()))
            return
        page: protocol.RoomPage = reply.result
        more = page.more and bool(page.rooms)
        changes = self.rooms.listed(page.rooms, more, now)
        if changes is not None:
            self.on_change(*changes, now)
        elif more:
            self._ask(page.rooms[-1].id)
