"""Who is connected, as one process knows it: its own people, and what other processes have told. Sans I/O.

Each process tells the others who has come and gone, and now and then everybody it has. What a process has not
confirmed for a while is forgotten: it was killed, stopped or cut off, and could not say so. While the channel layer is
gone, nobody can be said to be offline: what is not known here is unknown.
"""

from collections.abc import Iterable
from typing import Literal

Status = Literal["online", "away"]
Shown = Literal["online", "away", "offline", "unknown"]

LINGER_S = 5.0
"""How long people count as connected after their last connection has ended. A reload of the page takes less."""
ANSWER_S = 3.0
"""How often a process tells the others everybody whom it has, whoever asks."""
SETTLE_S = 2 * ANSWER_S
"""How long the other processes may take to tell whom they have, once the layer is there."""
PEOPLE_PER_HINT = 1_000
PROCESSES_AT_MOST = 1_000
PEOPLE_AT_MOST = 100_000
"""People of one other process; what it tells beyond that is not kept."""


class _Process:
    """What another process has told."""

    def __init__(self, now: float):
        self.people: dict[str, Status] = {}
        self.told_at = now
        self.coming: dict[str, Status] = {}
        """Everybody it has, while the parts of that come in."""
        self.next_part = 0


class PresenceBook:
    """Times are seconds of one clock.

    Args:
        is_shared: Whether there is a layer to other processes. Without one, this process knows everybody.
        expires_s: What another process has told counts for so long.
    """

    def __init__(self, *, is_shared: bool, expires_s: float):
        self._is_shared = is_shared
        self._expires_s = expires_s
        self._own: dict[str, Status] = {}
        self._leaving: dict[str, float] = {}
        self._told: dict[str, Status] = {}
        self._others: dict[str, _Process] = {}
        self._layer_since: float | None = None
        self._changed: set[str] = set()
        self.is_certain = not is_shared
        """Whether who is not known to be connected is offline."""

    # This process ------------------------------------------------------------------------------------------------

    def set_own(self, user_id: str, status: Status | None, now: float) -> None:
        """What the connections of a person here come to; None: there are none any more."""
        if status is None:
            if user_id in self._own:
                self._leaving.setdefault(user_id, now + LINGER_S)
            return
        self._leaving.pop(user_id, None)
        if self._own.get(user_id) != status:
            self._own[user_id] = status
            self._changed.add(user_id)

    def news(self, now: float) -> dict[str, str]:
        """Who has come, gone or changed here since the last call; "offline" for those who have gone."""
        for user_id in [each for each, due in self._leaving.items() if due <= now]:
            del self._leaving[user_id], self._own[user_id]
            self._changed.add(user_id)
        if not self._is_shared:
            return {}
        candidates = self._changed & (self._own.keys() | self._told.keys())
        new = {each: self._own.get(each) for each in candidates if self._own.get(each) != self._told.get(each)}
        for user_id, status in new.items():
            if status is None:
                del self._told[user_id]
            else:
                self._told[user_id] = status
        return {user_id: status or "offline" for user_id, status in new.items()}

    def parts(self) -> list[dict[str, str]]:
        """Everybody who is connected here, in parts of a bounded size; one empty part if nobody is."""
        self._told = dict(self._own)
        rows = list(self._own.items())
        return [dict(rows[at : at + PEOPLE_PER_HINT]) for at in range(0, len(rows), PEOPLE_PER_HINT)] or [{}]

    # The layer ---------------------------------------------------------------------------------------------------

    def layer_is(self, there: bool, now: float) -> None:
        """Note whether the layer carries messages now."""
        if not there:
            if self._layer_since is not None:
                self._changed.update(*(each.people for each in self._others.values()))
            self._layer_since = None
        elif self._layer_since is None:
            self._layer_since = now

    def settle(self, now: float) -> bool:
        """Forget processes that have not been heard for too long; return True if it has just become certain, or
        uncertain, who is offline."""
        is_certain = not self._is_shared or (self._layer_since is not None and now - self._layer_since >= SETTLE_S)
        for process in [each for each, told in self._others.items() if now - told.told_at > self._expires_s]:
            if is_certain:  # while the layer is gone, nobody can be heard
                self._changed.update(self._others.pop(process).people)
        is_news, self.is_certain = is_certain != self.is_certain, is_certain
        return is_news

    # Other processes ---------------------------------------------------------------------------------------------

    def changed(self, process: str, people: dict[str, str], now: float) -> None:
        """Another process tells who has come, gone or changed there."""
        told = self._process(process, now)
        for user_id, status in people.items():
            for book in (told.people, told.coming):
                if status in ("online", "away") and (len(book) < PEOPLE_AT_MOST or user_id in book):
                    book[user_id] = status  # type: ignore[assignment]
                else:
                    book.pop(user_id, None)
        self._changed.update(people)

    def state(self, process: str, part: int, parts: int, people: dict[str, str], now: float) -> None:
        """Another process tells everybody whom it has. A state of which a part was lost changes nothing."""
        told = self._process(process, now)
        if part == 0:
            told.coming, told.next_part = {}, 0
        if part != told.next_part or len(told.coming) > PEOPLE_AT_MOST:
            told.next_part = -1
            return
        told.next_part += 1
        told.coming.update((each, status) for each, status in people.items() if status in ("online", "away"))  # type: ignore[misc]
        if told.next_part == parts:
            self._changed.update(_different(told.people, told.coming))
            told.people, told.coming = told.coming, {}

    def _process(self, process: str, now: float) -> _Process:
        told = self._others.get(process)
        if told is None:
            while len(self._others) >= PROCESSES_AT_MOST:
                oldest = min(self._others, key=lambda each: self._others[each].told_at)
                self._changed.update(self._others.pop(oldest).people)
            told = self._others[process] = _Process(now)
        elif self._layer_since is not None and told.told_at < self._layer_since:
            self._changed.update(told.people)  # it had not been heard since the layer came back
        told.told_at = now
        return told

    # What is known -----------------------------------------------------------------------------------------------

    def take_changed(self) -> set[str]:
        """The people whose status may have changed since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def is_connected(self, user_id: str) -> bool:
        """Whether the person is known to be connected somewhere. Any thread may ask."""
        return user_id in self._own or any(user_id in each.people for each in self._heard())

    def status_of(self, user_id: str) -> Shown:
        found = {self._own.get(user_id), *(each.people.get(user_id) for each in self._heard())}
        if "online" in found:
            return "online"
        if "away" in found:
            return "away"
        return "offline" if self.is_certain else "unknown"

    def _heard(self) -> Iterable[_Process]:
        """The processes that have been heard since the layer is there."""
        since = self._layer_since
        return () if since is None else [each for each in list(self._others.values()) if each.told_at >= since]


def _different(before: dict[str, Status], after: dict[str, Status]) -> set[str]:
    return {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}
