"""Messages: posting one, editing, deleting. ``chat.services.posting`` stores many at once."""

from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from chat.access import lookup, serializers
from chat.access.policy import rules_for
from chat.live.publisher import publish_on_commit
from chat.models import Mention, Message, Reaction, Room
from chat.models.database import write
from chat.services import sequence
from chat.services.message_bodies import Rendered, checked, render, store_mentions
from chat.services.posting import Post, post_many
from chat.wire import protocol
from chat.wire.errors import ChatError, MessageForbidden, MessageNotFound, RoomArchived
from chat.wire.protocol import PostResult


def post(*, by: Any, room_id: int, body: str, client_id: UUID | None = None, reply_to: int | None = None) -> PostResult:
    """Store a message and publish it to the room after commit.

    Repeating a ``client_id`` returns the first message and publishes nothing.

    Args:
        by: The author.
        body: Markdown, 1 to ``CHAT["BODY_CHARS"]`` characters once trimmed.
        client_id: None for a message that is never repeated.
        reply_to: A message of the same room.

    Raises:
        RoomNotFound: Missing, or hidden from the author; callers must not tell which.
        RoomForbidden: The author may read this room but not write to it.
        RoomArchived, MessageEmpty, MessageTooLong, MessageInvalidText, MessageNotFound (of ``reply_to``),
        ClientIdConflict.
    """
    outcome = post_many([Post(by, room_id, client_id or uuid4(), body, reply_to)])[0]
    if isinstance(outcome, ChatError):
        raise outcome
    return outcome


def edit(*, by: Any, message_id: int, body: str, rendered: Rendered | None = None) -> int:
    """Replace a message's text; the seq of its present state. The same text again changes nothing.

    Raises:
        MessageNotFound: Missing, deleted, or in a room that ``by`` may not read.
        MessageForbidden: Not theirs to edit.
        RoomArchived, MessageEmpty, MessageTooLong, MessageInvalidText.
    """
    text = checked(body)
    with write():
        message, entry = lookup.message(by, message_id, lock=True)
        if message.is_deleted:
            raise MessageNotFound
        rules = rules_for(by)
        if not rules.can_edit(by, entry.room, entry.membership, message):
            raise MessageForbidden
        if entry.room.archived and not rules.can_administer(by, entry.room):
            raise RoomArchived
        if message.body != text:
            rendered = rendered or render(entry.room, text)
            message.body, message.html, message.mentions = text, rendered.html, rendered.mentions
            message.edited_at = timezone.now()
            Mention.objects.filter(message=message).delete()
            store_mentions([message])
            announce_change(entry.room, message, "body", "html", "mentions", "edited_at")
        return message.changed_seq


def delete(*, by: Any, message_id: int) -> int:
    """Empty a message to a tombstone; the seq of its present state. Harmless when repeated.

    Raises:
        MessageNotFound: Missing, or in a room that ``by`` may not read.
        MessageForbidden: Neither theirs nor theirs to moderate.
        RoomArchived.
    """
    with write():
        message, entry = lookup.message(by, message_id, lock=True)
        rules = rules_for(by)
        if not rules.can_delete(by, entry.room, entry.membership, message):
            raise MessageForbidden
        if message.is_deleted:
            return message.changed_seq
        if entry.room.archived and not rules.can_administer(by, entry.room):
            raise RoomArchived
        message.body = message.html = ""
        message.mentions, message.reactions = [], []
        message.deleted_at = timezone.now()
        Mention.objects.filter(message=message).delete()
        Reaction.objects.filter(message=message).delete()
        announce_change(entry.room, message, "body", "html", "mentions", "reactions", "deleted_at")
        return message.changed_seq


def announce_change(room: Room, message: Message, *fields: str) -> None:
    """Store changed ``fields`` of a message in a locked room as the room's next durable change, and tell it."""
    message.changed_seq = sequence.next_seq(room)
    message.save(update_fields=["changed_seq", *fields])
    sequence.save_numbers(room)
    publish_on_commit([sequence.events_of(room, [message_changed(message)])])


def message_changed(message: Message) -> protocol.MessageChanged:
    """The event that tells a message's present state."""
    return protocol.MessageChanged(
        room=str(message.room_id), seq=message.changed_seq, message=serializers.message(message)
    )
