"""Deleting a room for good: the one act that takes what was said out of the database. Only the site does it."""

from secrets import token_hex
from typing import Any

from django.utils import timezone

from chat.access import lookup
from chat.access.policy import rules_for
from chat.live.hints import CompareRoom, Hint
from chat.live.publisher import publish_on_commit
from chat.models import Mention, Message, Room
from chat.models.database import on_commit, write
from chat.services import membership_rows, sequence
from chat.wire.errors import RoomForbidden

MESSAGES_AT_ONCE = 1_000
"""Deleted in one transaction: about a tenth of a second in which SQLite takes no other write."""


def delete(*, by: Any, room_id: int) -> None:
    """Delete a room and all that was said in it. There is no way back.

    From the commit on nobody finds it: its members and who watches it are told so, and its short name, its people
    (of a direct room) and its subject may have a new room. Its messages, with their reactions and mentions, go right
    after that commit, in pieces; what a process that ends leaves of them, the next deletion takes along. The
    memberships stay as tombstones: a person's ``rooms_version`` never goes back.

    Raises:
        RoomNotFound: Missing, deleted already, or hidden from ``by``.
        RoomForbidden: ``by`` does not act for the site.
    """
    with write(waits_are_bounded=False):
        room = lookup.room(by, room_id, lock=True).room
        if not rules_for(by).can_administer(by, room):
            raise RoomForbidden
        hints: list[Hint] = [*membership_rows.end_all(room), CompareRoom(room.pk)]
        room.name = room.topic = ""
        room.slug = f"deleted-{token_hex(8)}"
        # Private, archived and without members: what forgets to ask whether it is deleted lets nobody in either.
        room.kind, room.archived = Room.Kind.PRIVATE, True
        room.direct_key = room.subject_type = room.subject_id = None
        room.deleted_at = timezone.now()
        room.changed_seq = sequence.next_seq(room)
        room.save()
        publish_on_commit(hints)
        on_commit(sweep)


def sweep() -> None:
    """Delete what is left of the messages of deleted rooms."""
    for room in Room.with_deleted.filter(deleted_at__isnull=False, is_swept=False):
        while _sweep_some(room):
            pass
        with write(waits_are_bounded=False):
            Room.with_deleted.filter(pk=room.pk).update(is_swept=True)


def _sweep_some(room: Room) -> bool:
    with write(waits_are_bounded=False):
        # The newest first: a reply goes before, or together with, what it replies to.
        keys = list(
            Message.objects.filter(room=room).order_by("-number").values_list("pk", flat=True)[:MESSAGES_AT_ONCE]
        )
        Mention.objects.filter(message__in=keys).delete()
        Message.objects.filter(pk__in=keys).delete()
    return len(keys) == MESSAGES_AT_ONCE
