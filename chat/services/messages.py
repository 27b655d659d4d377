"""Messages: posting one, editing, deleting. ``chat.services.posting`` stores many at once."""

from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from chat.access import lookup, serializers
from chat.access.policy import policy
from chat.live.publisher import publish_on_commit
from chat.models import Mention, Message, Reaction, Room
from chat.models.database import write
from chat.services import sequence
from chat.services.message_bodies import Rendered, checked, render, store_mentions
from chat.services.posting import Post, post_many
from chat.wire import protocol
from chat.wire.errors import ChatError, MessageForbidden, MessageNotFound, RoomArchived
from chat.wire.protocol import PostResult


def post(
    *,
    author: Any,
    room_id: str | int,
    body: str,
    client_id: UUID | None = None,
    reply_to: str | int | None = None,
) -> PostResult:
    """Store a message and publish it to the room after commit.

    Repeating a ``client_id`` returns the first message and publishes nothing.

    Args:
        body: Markdown, 1 to ``CHAT["BODY_CHARS"]`` characters once trimmed.
        client_id: None for a message that is never repeated.
        reply_to: A message of the same room.

    Raises:
        RoomNotFound: Missing, or hidden from ``author``; callers must not tell which.
        RoomForbidden: The author may read this room but not write to it.
        RoomArchived, MessageEmpty, MessageTooLong, MessageInvalidText, MessageNotFound (of ``reply_to``),
        ClientIdConflict.
    """
    request = Post(
        author,
        str(room_id),
        client_id or uuid4(),
        body,
        reply_to=None if reply_to is None else str(reply_to),
    )
    outcome = post_many([request])[0]
    if isinstance(outcome, ChatError):
        raise outcome
    return outcome


def edit(*, actor: Any, message_id: str | int, body: str, rendered: Rendered | None = None) -> int:
    """Replace a message's text; the seq of its present state. The same text again changes nothing.

    Raises:
        MessageNotFound: Missing, deleted, or in a room that ``actor`` may not read.
        MessageForbidden: Not theirs to edit.
        RoomArchived, MessageEmpty, MessageTooLong, MessageInvalidText.
    """
    text = checked(body)
    with write():
        message, entry = lookup.message(actor, message_id, lock=True)
        if message.is_deleted:
            raise MessageNotFound
        if not policy().can_edit(actor, entry.room, entry.membership, message):
            raise MessageForbidden
        if entry.room.archived:
            raise RoomArchived
        return _replace(entry.room, message, text, rendered)


def delete(*, actor: Any, message_id: str | int) -> int:
    """Empty a message to a tombstone; the seq of its present state. Harmless when repeated.

    Raises:
        MessageNotFound: Missing, or in a room that ``actor`` may not read.
        MessageForbidden: Neither theirs nor theirs to moderate.
        RoomArchived.
    """
    with write():
        message, entry = lookup.message(actor, message_id, lock=True)
        if not policy().can_delete(actor, entry.room, entry.membership, message):
            raise MessageForbidden
        if entry.room.archived and not message.is_deleted:
            raise RoomArchived
        return _empty(entry.room, message)


def rewrite(*, message_id: str | int, body: str) -> int:
    """Replace a message's text on behalf of the site, in an archived room too; the seq of its present state.

    Raises:
        MessageNotFound: Missing or deleted.
        MessageEmpty, MessageTooLong, MessageInvalidText.
    """
    text = checked(body)
    with write():
        message, room = lookup.locked_message(message_id)
        if message.is_deleted:
            raise MessageNotFound
        return _replace(room, message, text)


def remove(*, message_id: str | int) -> int:
    """Empty a message to a tombstone on behalf of the site, in an archived room too; the seq of its present state.

    Raises:
        MessageNotFound: Missing.
    """
    with write():
        message, room = lookup.locked_message(message_id)
        return _empty(room, message)


def _replace(room: Room, message: Message, text: str, rendered: Rendered | None = None) -> int:
    if message.body != text:
        rendered = rendered or render(room, text)
        message.body, message.html, message.mentions = text, rendered.html, rendered.mentions
        message.edited_at = timezone.now()
        Mention.objects.filter(message=message).delete()
        store_mentions([message])
        announce_change(room, message, "body", "html", "mentions", "edited_at")
    return message.changed_seq


def _empty(room: Room, message: Message) -> int:
    if not message.is_deleted:
        message.body = message.html = ""
        message.mentions, message.reactions = [], []
        message.deleted_at = timezone.now()
        Mention.objects.filter(message=message).delete()
        Reaction.objects.filter(message=message).delete()
        announce_change(room, message, "body", "html", "mentions", "reactions", "deleted_at")
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
