"""Taking over messages that were written elsewhere, or earlier, with their own times and authors.

They go to the end of the room's numbers, in the order given, whatever their times say: numbers only ever grow, and no
page that is open has to look back. Each takes one seq, as a post does, and enters in its present state; a member who
wrote before they joined takes one more, and so does everybody in a room whose first messages these are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.utils import timezone

from chat.access import lookup, serializers
from chat.access.policy import rules_for
from chat.access.serializers import REACTION_USERS
from chat.conf import conf
from chat.live.hints import Hint, RoomEvents
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Message, Reaction, Room
from chat.models.database import write
from chat.models.messages import key_of
from chat.services import membership_rows, posting, read_pointers, sequence
from chat.services.message_bodies import Rendered, checked, is_acceptable, render_many, store_mentions
from chat.services.reactions import is_emoji
from chat.wire import protocol
from chat.wire.errors import (
    ChatError,
    CommandInvalid,
    EmojiInvalid,
    MessageNotFound,
    RoomArchived,
    RoomForbidden,
    TooManyReactions,
)

BATCH = 500
"""Messages in one transaction. It takes about a tenth of a second, in which nobody else can write to the room."""
TOLD_AT_MOST = 20
"""Only the last event of a larger batch is sent: feeds notice that they are behind and read the rest page by page."""
AHEAD = timedelta(minutes=5)
"""How far a clock elsewhere may be ahead of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMessage:
    """One message to import, in its present state. Times are aware datetimes."""

    client_id: UUID
    """Makes the import safe to repeat: a room takes the same one once, whoever the author is."""
    author: Any
    """A user, whether a member of the room or not; None for somebody whose account is gone."""
    body: str
    """Markdown. Members of the room who are named in it are mentioned. It is not stored for a deleted message."""
    created_at: datetime
    reply_to: UUID | None = None
    """``client_id`` of a message before it in this run, or in the room already."""
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    reactions: Sequence[tuple[str, Any]] = ()
    """(emoji, user), in the order in which they were made."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    stored: int
    repeated: int
    """Those that the room had already; they are left as they are, later changes included."""


class ImportRefused(ChatError):
    """Some messages of a batch can't be stored, so nothing of that batch is. The batches before it are.

    ``refusals`` says why, for each by its ``client_id``. Mend or leave out these, and import the whole run again.
    """

    code = "import.refused"
    text = "Some of the messages can't be imported."

    def __init__(self, refusals: dict[UUID, ChatError]):
        self.refusals = refusals
        client_id, first = next(iter(refusals.items()))
        super().__init__(f"{len(refusals)} messages can't be imported; {client_id}: {first.message}")


def import_messages(*, by: Any, room_id: int, messages: Iterable[PastMessage]) -> Imported:
    """Store messages at the end of a room, in order, and show them to everybody who has it open.

    Works through the run in transactions of up to 500, so that a long one holds nobody up; what is repeated changes
    nothing. The authors' own read pointers move as they do with posts, everybody else has them unread.

    Raises:
        ImportRefused: Why, message by message.
        RoomNotFound: Missing, or hidden from ``by``.
        RoomForbidden: ``by`` does not act for the site.
    """
    stored = repeated = 0
    for batch in _batches(iter(messages)):
        done = _Batch(by, room_id, batch).store()
        stored += done.stored
        repeated += done.repeated
    return Imported(stored, repeated)


def _batches(messages: Iterator[PastMessage]) -> Iterator[list[PastMessage]]:
    while batch := list(islice(messages, BATCH)):
        yield batch


class _Batch:
    """One transaction's worth. Every step is one query for all of them."""

    def __init__(self, by: Any, room_id: int, past: list[PastMessage]):
        self._by = by
        self._room_id = room_id
        self._size = len(past)
        self._past: dict[UUID, PastMessage] = {}
        for each in past:
            self._past.setdefault(each.client_id, each)
        self._refusals: dict[UUID, ChatError] = {}

    def store(self) -> Imported:
        rendered = self._render()
        with write(waits_are_bounded=False):
            room = lookup.room(self._by, self._room_id, lock=True).room
            if not rules_for(self._by).can_administer(self._by, room):
                raise RoomForbidden
            # After the lock: another import of the same run has committed, or waits.
            known = self._known(room)
            before = dict(known)
            rows: dict[UUID, Message] = {}
            for client_id, past in self._past.items():
                if client_id not in known:
                    try:
                        row = self._row(past, room, rendered.get(client_id), before)
                        rows[client_id] = before[client_id] = row
                    except ChatError as refusal:
                        self._refusals[client_id] = refusal
            if self._refusals:
                raise ImportRefused(self._refusals)
            if rows:
                self._insert(room, rows)
        return Imported(len(rows), self._size - len(rows))

    def _render(self) -> dict[UUID, Rendered]:
        """As HTML what can be stored and isn't yet; before the transaction, which holds up others."""
        room = Room.objects.filter(pk=self._room_id).first()
        if room is None:
            return {}
        stored = self._known(room)
        new = [each for each in self._past.values() if each.client_id not in stored and not each.deleted_at]
        fit = [each for each in new if is_acceptable(each.body)]
        made = render_many(room, [each.body for each in fit])
        return {each.client_id: html for each, html in zip(fit, made, strict=True)}

    def _known(self, room: Room) -> dict[UUID, Message]:
        """What the room has already of this batch and of the messages that it replies to."""
        wanted = self._past.keys() | {each.reply_to for each in self._past.values() if each.reply_to}
        rows = Message.objects.filter(client_id__in=wanted, room=room).only("client_id", "number", "room_id")
        return {row.client_id: row for row in rows}

    def _row(self, past: PastMessage, room: Room, rendered: Rendered | None, before: dict[UUID, Message]) -> Message:
        """The message with its number and seq.

        Raises:
            ChatError: Why it can't be stored.
        """
        text = "" if past.deleted_at else checked(past.body)
        if room.archived:
            raise RoomArchived
        _check_times(past)
        summary = _summary(past)
        reply = before.get(past.reply_to) if past.reply_to else None
        if past.reply_to and reply is None:
            raise MessageNotFound("The message that this replies to is not before it in this room.", field="reply_to")
        return posting.next_of(
            room,
            past.body,
            rendered or Rendered("", []),
            author=past.author,
            user_key=key_of(past.author, past.client_id),
            client_id=past.client_id,
            body=text,
            reactions=summary,
            reply=reply,
            created_at=past.created_at,
            edited_at=past.edited_at,
            deleted_at=past.deleted_at,
        )

    def _insert(self, room: Room, rows: dict[UUID, Message]) -> None:
        messages = list(rows.values())
        Message.objects.bulk_create(messages)
        # A message of this batch has its key only now.
        replies = [each for each in messages if each.reply_number and not each.reply_to_id]
        for each in replies:
            each.reply_to = rows[self._past[each.client_id].reply_to]  # type: ignore[index]  # it has a reply_number
        Message.objects.bulk_update(replies, ["reply_to"])
        store_mentions(messages)
        Reaction.objects.bulk_create(
            Reaction(message=message, user=user, user_key=str(user.pk), emoji=emoji)
            for client_id, message in rows.items()
            for emoji, user in _distinct(self._past[client_id])
        )
        changed = _predate(room, messages)
        sequence.save_numbers(room, "last_number", "last_message_at")
        newest = {each.user_key: each.number for each in messages if each.author_id is not None}
        authors = membership_rows.present(room).filter(user_key__in=newest).values_list("pk", "user_key")
        read_pointers.follow_own_posts({pk: newest[user_key] for pk, user_key in authors})
        hints: list[Hint] = [_told(room, [*map(posting.posted, messages), *changed])]
        if room.is_direct:
            hints += membership_rows.unhide(room)
        publish_on_commit(hints)


def _predate(room: Room, messages: list[Message]) -> list[protocol.RoomEvent]:
    """Who wrote before they are said to have joined has been there since, and so has everybody when a room's first
    messages come: each is a change of the member."""
    since: dict[str, datetime] = {}
    for each in messages:
        if each.author_id is not None:
            since[each.user_key] = min(since.get(each.user_key, each.created_at), each.created_at)
    present = Membership.objects.present().filter(room=room).with_people()
    if messages[0].number == 1:
        # All at once: otherwise the room would announce one arrival after the other.
        since = dict.fromkeys(present.values_list("user_key", flat=True), min(each.created_at for each in messages))
    late = [each for each in present.filter(user_key__in=since).order_by("pk") if each.joined_at > since[each.user_key]]
    events: list[protocol.RoomEvent] = []
    for member in late:
        member.joined_at = since[member.user_key]
        member.changed_seq = sequence.next_seq(room)
        shape = serializers.member(member)
        events.append(protocol.MemberChanged(room=str(room.pk), seq=member.changed_seq, member=shape))
    Membership.objects.bulk_update(late, ["joined_at", "changed_seq"], batch_size=BATCH)
    return events


def _told(room: Room, events: list[protocol.RoomEvent]) -> RoomEvents:
    # A feed that gets the last event alone holds it, and reads what lies before from the database in bounded pages,
    # once for all of its clients: the way of every lost hint. So the channel layer never carries a whole history.
    # The site's receivers hear nothing: what they do about a message that is posted is for what is said now.
    return sequence.hint_of(room, events if len(events) <= TOLD_AT_MOST else events[-1:])


def _check_times(past: PastMessage) -> None:
    limit = timezone.now() + AHEAD
    for name in ("created_at", "edited_at", "deleted_at"):
        value = getattr(past, name)
        if value is None:
            continue
        if timezone.is_naive(value):
            raise CommandInvalid(f"{name} needs a time zone.", field=name)
        if value > limit:
            raise CommandInvalid(f"{name} lies in the future.", field=name)
        if value < past.created_at:
            raise CommandInvalid(f"{name} lies before created_at.", field=name)


def _summary(past: PastMessage) -> list[dict[str, Any]]:
    """The reactions as they are kept with the message (chat/services/reactions.py)."""
    users: dict[str, list[str]] = {}
    for emoji, user in _distinct(past):
        if not is_emoji(emoji):
            raise EmojiInvalid(field="reactions")
        users.setdefault(emoji, []).append(str(user.pk))
    if len(users) > conf.reactions_per_message:
        raise TooManyReactions
    return [{"emoji": emoji, "count": len(keys), "users": keys[:REACTION_USERS]} for emoji, keys in users.items()]


def _distinct(past: PastMessage) -> list[tuple[str, Any]]:
    """Each person's each emoji once; none on a tombstone."""
    reactions = () if past.deleted_at else past.reactions
    return list({(emoji, user.pk): (emoji, user) for emoji, user in reactions}.values())
