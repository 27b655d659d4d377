"""The list of the user's rooms, kept current by ``hello``, ``room.added``, ``room.removed`` and ``rooms_version``.

Sans I/O; times are seconds of any monotonic clock, passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from chat.client.core.cursor import JITTER_S, PATIENCE_S
from chat.client.core.room_state import with_read
from chat.wire.protocol import Hello, ReadChanged, RoomAdded, RoomRemoved, RoomState


@dataclass(slots=True)
class RoomList:
    """Rooms by id, as the server last described them."""

    rng: Callable[[], float]
    states: dict[str, RoomState] = field(default_factory=dict)
    list_at: float | None = None
    """When to ask for the whole list; None if there is no need."""
    _version: int = 0
    _heard: int = 0
    _listed: dict[str, RoomState] | None = None
    _listed_version: int = 0

    @property
    def version(self) -> int:
        return self._version

    def greeted(self, hello: Hello, now: float, *, wants_all: bool) -> tuple[list[RoomState], list[str]]:
        """Take the rooms of ``hello``, and return those that are new and the ids of those that are gone."""
        self._version = self._heard = hello.rooms_version
        self._listed, self.list_at = None, None
        named = {state.id: state for state in hello.rooms}
        if hello.more:
            # A room that is not named may still be there; only the whole list tells.
            added = [state for room, state in named.items() if room not in self.states]
            self.states |= named
            self.list_at = now if wants_all else None
            return added, []
        return self._replace(named)

    def added(self, event: RoomAdded, now: float) -> bool:
        """Take the event; False if ``hello`` or the list included it already."""
        if event.rooms_version <= self._version:
            return False
        self._saw(event.rooms_version, now)
        self.states[event.state.id] = event.state
        return True

    def removed(self, event: RoomRemoved, now: float) -> bool:
        """Take the event; False if ``hello`` or the list is newer.

        A right that ends without a membership (an open room becomes private) leaves the version as it is.
        """
        if event.rooms_version < self._version:
            return False
        self._saw(event.rooms_version, now)
        self.states.pop(event.room, None)
        return True

    def heard(self, version: int, now: float) -> None:
        """``heads`` names the server's version. If it is higher than ours, an event is late or lost."""
        self._heard = max(self._heard, version)
        if self._heard > self._version and self.list_at is None and self._listed is None:
            self.list_at = now + PATIENCE_S + JITTER_S * self.rng()

    def read(self, event: ReadChanged) -> None:
        if event.room in self.states:
            self.states[event.room] = with_read(self.states[event.room], event)

    def listing_started(self) -> None:
        self.list_at, self._listed, self._listed_version = None, {}, self._heard

    def listed(self, page: list[RoomState], more: bool, now: float) -> tuple[list[RoomState], list[str]] | None:
        """Take a page of the list; after the last one, return the rooms that are new and the ids of those gone."""
        if self._listed is None:
            return None  # a new connection began meanwhile
        self._listed |= {state.id: state for state in page}
        if more:
            return None
        listed, self._listed = self._listed, None
        if self._version > self._listed_version:
            self.list_at = now  # a room came or went while the pages were read, and they may or may not show it
            return None
        self._version = self._listed_version
        self.heard(self._heard, now)
        return self._replace(listed)

    def listing_failed(self, at: float) -> None:
        self._listed, self.list_at = None, at

    def _saw(self, version: int, now: float) -> None:
        if version == self._version + 1:
            self._version = version
            if self._heard <= version:
                self.list_at = None
        self.heard(version, now)

    def _replace(self, states: dict[str, RoomState]) -> tuple[list[RoomState], list[str]]:
        added = [state for room, state in states.items() if room not in self.states]
        gone = [room for room in self.states if room not in states]
        self.states = states
        return added, gone
