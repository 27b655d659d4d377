"""Posting: many posts, one transaction, no gaps. The heart of the product."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from chat.access import serializers
from chat.access.policy import policy
from chat.live.hints import Hint
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Message, Room
from chat.models.database import write
from chat.models.prepared import Prepared
from chat.services import membership_rows, people, read_pointers, sequence
from chat.services.message_bodies import Rendered, checked, is_acceptable, render, store_mentions
from chat.wire import protocol
from chat.wire.errors import (
    AttachmentNotFound,
    ChatError,
    ClientIdConflict,
    MessageNotFound,
    RoomArchived,
    RoomForbidden,
    RoomNotFound,
)
from chat.wire.protocol import PostResult, rfc3339

# In id order, so that two writers never wait for each other in a circle.
_locked_rooms = Prepared(lambda pks: Room.objects.select_for_update().filter(pk__in=pks).order_by("pk"), [int])
_stored = Prepared(
    lambda client_ids, user_keys, room_ids: Message.objects.filter(
        client_id__in=client_ids, user_key__in=user_keys, room__in=room_ids
    ).defer("body", "html"),
    [UUID],
    [str],
    [int],
)
_memberships = Prepared(
    lambda room_ids, user_keys: (
        Membership.objects.present().filter(room__in=room_ids, user_key__in=user_keys).select_related("user")
    ),
    [int],
    [str],
)


@dataclass(slots=True, eq=False)
class Post:
    """What somebody wants to say. ``rendered`` may be made beforehand; with None the service renders."""

    by: Any
    room_id: int
    client_id: UUID
    body: str
    reply_to: int | None = None
    attachments: tuple[str, ...] = ()
    rendered: "Rendered | None" = None
    was_new: bool = False
    """Set when the post is first taken for a new message. If a second run finds it stored, this very post stored it."""


Outcome = PostResult | ChatError


def post_many(posts: list[Post], *, when_locked: Callable[[], None] = lambda: None) -> list[Outcome]:
    """Store many messages in one transaction; an outcome for each, in order. A refused one costs the others nothing.

    Args:
        when_locked: Called when the rooms are locked. What it raises rolls back.

    Raises:
        IntegrityError, DataError: The database refused a row. Nothing is stored; post them one by one.
    """
    render_missing(posts)
    with write():
        return _Batch(posts).store(when_locked)


def render_missing(posts: list[Post]) -> None:
    """Render those texts that have not been, and can be stored at all."""
    for each in posts:
        if each.rendered is None and policy().is_welcome(each.by) and is_acceptable(each.body):
            each.rendered = render(each.room_id, each.body)


_Key = tuple[str, int, UUID]


class _Batch:
    """One transaction's worth of posts. Every step is one query for all of them, whatever their number."""

    def __init__(self, posts: list[Post]):
        self._posts = posts
        self._new: dict[_Key, Message] = {}

    def store(self, when_locked: Callable[[], None]) -> list[Outcome]:
        self._rooms = self._lock_rooms()
        when_locked()
        # After the lock: whoever else posts the same client_id to this room has committed, or has not begun.
        self._stored = self._find_stored()
        self._memberships = self._find_memberships()
        # Members cannot leave during this batch: ending a membership needs the room lock that we hold.
        self._outsiders = people.existing_accounts(each.by for each in self._posts if self._membership(each) is None)
        self._replies = self._find_replies()
        answers = [self._answer(each) for each in self._posts]
        if self._new:
            self._insert(list(self._new.values()))
        return [each if isinstance(each, ChatError) else self._result(*each) for each in answers]

    def _answer(self, request: Post) -> ChatError | tuple[Message, bool]:
        """The message that the post stands for, stored or about to be, and whether it is a repeat; or why not."""
        key = self._key(request)
        try:
            # The look-up comes before every other check: a stored message is never reported as refused.
            known = self._stored.get(key) or self._new.get(key)
            if known is None:
                self._new[key] = self._accept(request)
                request.was_new = True
                return self._new[key], False
            if bytes(known.body_hash) != hash_of(request.body):
                raise ClientIdConflict
            return known, not request.was_new
        except ChatError as refusal:
            return refusal

    def _lock_rooms(self) -> dict[int, Room]:
        return {room.pk: room for room in _locked_rooms({each.room_id for each in self._posts})}

    def _key(self, request: Post) -> _Key:
        return str(request.by.pk), request.room_id, request.client_id

    def _find_stored(self) -> dict[_Key, Message]:
        rows = _stored({each.client_id for each in self._posts}, self._people(), self._rooms)
        return {(row.user_key, row.room_id, row.client_id): row for row in rows}

    def _find_memberships(self) -> dict[tuple[int, str], Membership]:
        return {(each.room_id, each.user_key): each for each in _memberships(self._rooms, self._people())}

    def _people(self) -> set[str]:
        return {str(each.by.pk) for each in self._posts}

    def _membership(self, request: Post) -> Membership | None:
        return self._memberships.get((request.room_id, str(request.by.pk)))

    def _find_replies(self) -> dict[int, Message]:
        wanted = {each.reply_to for each in self._posts if each.reply_to}
        return Message.objects.only("number", "room_id").in_bulk(wanted) if wanted else {}

    def _accept(self, request: Post) -> Message:
        """Give the post its number and seq.

        Raises:
            ChatError: Why it may not be stored.
        """
        text = checked(request.body)
        room = self._rooms.get(request.room_id)
        membership = self._membership(request)
        # Members are re-read here; a non-member is only as fresh as the socket's last revalidation (up to 60 s).
        author = membership.user if membership else request.by
        if room is None or not policy().can_see(author, room, membership):
            raise RoomNotFound
        if membership is None and str(request.by.pk) not in self._outsiders:
            raise RoomNotFound
        if not policy().can_post(author, room, membership):
            raise RoomForbidden
        if room.archived:
            raise RoomArchived
        if request.attachments:
            raise AttachmentNotFound
        reply = self._reply_of(request, room)
        return next_of(
            room,
            request.body,
            request.rendered or render(room, text),
            author=author,
            user_key=str(request.by.pk),
            client_id=request.client_id,
            body=text,
            reply=reply,
            created_at=timezone.now(),
        )

    def _reply_of(self, request: Post, room: Room) -> Message | None:
        if request.reply_to is None:
            return None
        reply = self._replies.get(request.reply_to)
        if reply is None or reply.room_id != room.pk:
            raise MessageNotFound("The message that this replies to is not in this room.", field="reply_to")
        return reply

    def _insert(self, messages: list[Message]) -> None:
        Message.objects.bulk_create(messages)
        store_mentions(messages)
        rooms = {message.room_id: self._rooms[message.room_id] for message in messages}
        fields = ["last_number", "last_message_at"]
        if len(rooms) == 1:
            sequence.save_numbers(next(iter(rooms.values())), *fields)
        else:
            # A run begins so rarely that it would be a waste to write the same one over and over.
            begun = any(each.seq == rooms[each.room_id].run_seq for each in messages)
            Room.objects.bulk_update(rooms.values(), [*(sequence.NUMBERS if begun else ["head"]), *fields])
        read_pointers.follow_own_posts(
            {
                membership.pk: message.number
                for message in messages
                if (membership := self._memberships.get((message.room_id, message.user_key)))
            }
        )
        hints: list[Hint] = []
        for room in rooms.values():
            events = [posted(each) for each in messages if each.room_id == room.pk]
            hints.append(sequence.events_of(room, events))
            if room.is_direct:
                hints += membership_rows.unhide(room)
        publish_on_commit(hints)

    def _result(self, message: Message, duplicate: bool) -> PostResult:
        return PostResult(
            id=str(message.pk),
            number=message.number,
            seq=message.seq,
            epoch=self._rooms[message.room_id].epoch,
            created_at=rfc3339(message.created_at),
            duplicate=duplicate,
        )


def next_of(
    room: Room, given: str, rendered: Rendered, *, reply: Message | None, created_at: datetime, **fields: Any
) -> Message:
    """The locked room's next message, with its number and seq; not stored yet, nor need ``reply`` be.

    ``given``: the body as its author sent it, which tells a repeat.
    """
    room.last_number += 1
    if room.last_message_at is None or room.last_message_at > timezone.now():
        room.last_message_at = created_at  # a server's clock may have been ahead for a while
    else:
        room.last_message_at = max(room.last_message_at, created_at)
    seq = sequence.next_seq(room)
    return Message(
        room=room,
        body_hash=hash_of(given),
        number=room.last_number,
        seq=seq,
        changed_seq=seq,
        html=rendered.html,
        mentions=rendered.mentions,
        reply_to_id=reply.pk if reply else None,
        reply_number=reply.number if reply else None,
        created_at=created_at,
        **fields,
    )


def posted(message: Message) -> protocol.MessagePosted:
    """The event that tells a message's birth."""
    return protocol.MessagePosted(room=str(message.room_id), seq=message.seq, message=serializers.message(message))


def hash_of(body: str) -> bytes:
    """What tells a repeat from another message with the same client_id."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).digest()
