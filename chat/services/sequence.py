"""How a change enters a room's log: the next seq under the room's lock, and the hint that tells it after commit."""

from collections.abc import Sequence

from chat.live.hints import RoomEvents
from chat.models import Room
from chat.signals import tell_on_commit
from chat.wire import protocol
from chat.wire.feed_event import FeedEvent


def next_seq(room: Room) -> int:
    """Take the room's next seq. The caller holds the room's lock and saves the room in the same transaction."""
    room.head += 1
    return room.head


def save_numbers(room: Room, *fields: str) -> None:
    """Store the room's head, and ``fields`` that changed with it."""
    room.save(update_fields=["head", *fields])


def events_of(room: Room, events: Sequence[protocol.RoomEvent], *, leaver: str | None = None) -> RoomEvents:
    """The same as ``hint_of``; the site's receivers (chat/signals.py), too, hear of the changes after commit."""
    tell_on_commit(room, events)
    return hint_of(room, events, leaver=leaver)


def hint_of(room: Room, events: Sequence[protocol.RoomEvent], *, leaver: str | None = None) -> RoomEvents:
    """The hint for durable changes just made, each encoded once. ``leaver``: who loses the room with the last one."""
    last = events[-1]
    return RoomEvents(
        room.pk,
        room.epoch,
        [FeedEvent(each.seq, each.seq - 1, protocol.encode(each), leaver if each is last else None) for each in events],
    )
