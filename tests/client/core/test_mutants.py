"""Negative controls: a client that breaks one rule of the guarantee is caught by its property tests."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from chat.client.core.cursor import RoomCursor
from chat.client.core.inbox import Inbox
from chat.client.core.members import Members
from chat.client.core.outbox import Outbox, OutboxItem
from chat.client.core.room import Load
from chat.client.core.sync import Syncs
from tests.client.core.simulation import simulate
from tests.client.core.test_guarantee import ClientAndServer, RestoredBackups, ShortMemories

SEEDS = 300


def no_gaps_noticed(self: RoomCursor, event: Any) -> bool:
    return self.position is not None and event.seq > self.position.seq


def no_gaps_in_numbers(self: Inbox) -> Any:
    if self._ahead:
        self.position = min(self._ahead) - 1
    return original_take(self)


def forgets_to_fetch(self: Inbox) -> None:
    return None


def keeps_nothing(self: Load, *_: Any) -> None:
    return None


def believes_any_page(self: Load, *_: Any) -> bool:
    return False


def posts_anew(self: OutboxItem) -> Any:
    return msgspec.structs.replace(original_command(self), client_id=uuid.uuid4())


def never_asks_again(self: RoomCursor, at: float) -> None:
    if self.position is None:
        original_want(self, at)


def asks_twice(self: RoomCursor) -> None:
    original_started(self)
    self.is_syncing = False


def tells_always(self: Inbox, message: Any) -> bool:
    original_tell(self, message)
    return True


def believes_the_last_word(self: Members, member: Any, seq: int) -> bool:
    self._put_at.pop(member.user.id, None)
    return original_put(self, member, seq)


def loses_what_was_unanswered(self: Outbox, now: float) -> None:
    for item in list(self):
        self.remove(item)


original_take = Inbox.take
original_tell = Inbox._tell
original_command = OutboxItem.as_command
original_want = RoomCursor.want_sync
original_started = RoomCursor.sync_started
original_put = Members.put

MUTANTS: list[tuple[type, str, Callable[..., Any], type]] = [
    (RoomCursor, "_follows", no_gaps_noticed, ClientAndServer),
    (RoomCursor, "want_sync", never_asks_again, ClientAndServer),
    (RoomCursor, "sync_started", asks_twice, ClientAndServer),
    (RoomCursor, "heard", lambda *_: None, ClientAndServer),
    (Inbox, "take", no_gaps_in_numbers, ClientAndServer),
    (Inbox, "fetch_after", property(forgets_to_fetch), ShortMemories),
    (Inbox, "_tell", tells_always, ClientAndServer),
    (Inbox, "_rewind", lambda *_: None, RestoredBackups),
    (Load, "keep", keeps_nothing, ClientAndServer),
    (Load, "is_stale", believes_any_page, ClientAndServer),
    (OutboxItem, "as_command", posts_anew, ClientAndServer),
    (Outbox, "disconnected", loses_what_was_unanswered, ClientAndServer),
    (Members, "put", believes_the_last_word, ClientAndServer),
    (Syncs, "watch", lambda *_: None, ClientAndServer),
]  # type: ignore[list-item]


NAMES = [f"{kind.__name__}.{name}" for kind, name, _, _ in MUTANTS]


def run_all(machine: type[ClientAndServer]) -> None:
    for seed in range(SEEDS):
        simulate(machine, seed)


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "machine"), MUTANTS, ids=[f"{each[0].__name__}.{each[1]}" for each in MUTANTS]
)
def test_a_client_that_breaks_a_rule_is_caught(
    kind: type, name: str, wrong: Callable[..., Any], machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, name, wrong)
    with pytest.raises(AssertionError):
        run_all(machine)
