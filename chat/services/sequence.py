"""How a change enters a room's log: the next seq under the room's lock, and the hint that tells it after commit."""

from collections.abc import Sequence

from msgspec.structs import replace

from chat.live.hints import RoomEvents
from chat.models import Room, RoomRun
from chat.models.runs import RUNS_PER_ROOM, current_run
from chat.signals import tell_on_commit
from chat.wire import protocol
from chat.wire.feed_event import FeedEvent

NUMBERS = ("head", "run", "run_seq")
"""The fields of a room that ``next_seq`` changes."""


def next_seq(room: Room) -> int:
    """Take the room's next seq. The caller holds the room's lock and saves the room in the same transaction."""
    room.head += 1
    if room.run != (run := current_run()):
        _begin_run(room, run)
    return room.head


def save_numbers(room: Room, *fields: str) -> None:
    """Store the room's head, and ``fields`` that changed with it."""
    room.save(update_fields=[*NUMBERS, *fields])


def _begin_run(room: Room, run: str) -> None:
    """Let a new run begin with the room's present head, which has just been taken."""
    if room.head > 1:
        RoomRun.objects.create(room=room, run=room.run, first_seq=room.run_seq, last_seq=room.head - 1)
        ended = RoomRun.objects.filter(room=room).order_by("-last_seq")
        if (oldest := ended.values_list("last_seq", flat=True)[RUNS_PER_ROOM : RUNS_PER_ROOM + 1].first()) is not None:
            ended.filter(last_seq__lte=oldest).delete()
    room.run, room.run_seq = run, room.head


def events_of(room: Room, events: Sequence[protocol.RoomEvent], *, leaver: str | None = None) -> RoomEvents:
    """The same as ``hint_of``; the site's receivers (chat/signals.py), too, hear of the changes after commit."""
    tell_on_commit(room, events)
    return hint_of(room, events, leaver=leaver)


def hint_of(room: Room, events: Sequence[protocol.RoomEvent], *, leaver: str | None = None) -> RoomEvents:
    """The hint for durable changes just made, each encoded once. ``leaver``: who loses the room with the last one."""
    last = events[-1]
    return RoomEvents(
        room.pk, room.epoch, [_feed_event(room, each, leaver if each is last else None) for each in events]
    )


def _feed_event(room: Room, event: protocol.RoomEvent, leaver: str | None) -> FeedEvent:
    """``event``, which the open transaction has made: so it belongs to the room's present run."""
    before = room.run
    if event.seq == room.run_seq:
        event = replace(event, run=room.run)
        ended = RoomRun.objects.filter(room=room, last_seq=event.seq - 1)
        before = ended.values_list("run", flat=True).first() or ""
    return FeedEvent(event.seq, event.seq - 1, protocol.encode(event), leaver, room.run, before)
