"""Emoji on messages. Each is a durable change of the message, and the summary travels with it."""

import re
from typing import Any

from django.db.models import Q

from chat.access import lookup, reads
from chat.access.policy import policy
from chat.access.serializers import REACTION_USERS
from chat.conf import conf
from chat.live.hints import CompareRoom
from chat.live.publisher import publish_on_commit
from chat.models import Membership, Message, Reaction, Room
from chat.models.database import write
from chat.services import people, sequence
from chat.services.messages import announce_change, message_changed
from chat.wire.errors import EmojiInvalid, MessageForbidden, MessageNotFound, RoomArchived, TooManyReactions
from chat.wire.protocol import ReactionResult

MESSAGES_AT_ONCE = 500
TOLD_AT_MOST = 20
EMOJI_CHARS = 32
"""A family with skin tones has eleven code points; a longer text is not an emoji."""
_SYMBOL = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
"""The Unicode blocks that hold emoji. They hold other signs too, which do no harm."""
_PART = f"{_SYMBOL}[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
"""A symbol with its presentation, skin tone, and the tags that spell a region's flag."""
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"  # a country's flag
    "|[0-9#*]\ufe0f?\u20e3"  # a key cap
    f"|{_PART}(?:\u200d{_PART})*"  # several joined into one, such as a family
)


def add(*, by: Any, message_id: int, emoji: str) -> ReactionResult:
    """React to a message; nothing happens if ``by`` has with this emoji already.

    Raises:
        MessageNotFound: Missing, deleted, or in a room that ``by`` may not read.
        MessageForbidden: ``by`` may not write in the room.
        EmojiInvalid, TooManyReactions, RoomArchived.
    """
    if not is_emoji(emoji):
        raise EmojiInvalid(field="emoji")
    with write():
        message, entry = _reactable(by, message_id)
        summary = {each["emoji"]: each for each in message.reactions}
        if not Reaction.objects.filter(message=message, user_key=str(by.pk), emoji=emoji).exists():
            if emoji not in summary and len(summary) >= conf.reactions_per_message:
                raise TooManyReactions
            if entry.membership is None:
                people.lock_accounts(by, gone=MessageNotFound)
            Reaction.objects.create(message=message, user=by, user_key=str(by.pk), emoji=emoji)
            message.reactions = _with_fresh(message, emoji)
            announce_change(entry.room, message, "reactions")
        return _result(by, message)


def remove(*, by: Any, message_id: int, emoji: str) -> ReactionResult:
    """Take a reaction back; nothing happens if there is none. Raises as ``add``."""
    with write():
        message, entry = _reactable(by, message_id)
        gone, _ = Reaction.objects.filter(message=message, user_key=str(by.pk), emoji=emoji).delete()
        if gone:
            message.reactions = _with_fresh(message, emoji)
            announce_change(entry.room, message, "reactions")
        return _result(by, message)


def remove_all(*, user: Any) -> None:
    """Remove every reaction of ``user``, whose account is about to be deleted, so that nothing names or counts them."""
    with write():
        reacted = Message.objects.filter(
            pk__in=Reaction.objects.filter(user_key=str(user.pk)).values("message")
        ).values("room")
        mine = Membership.objects.present().of(user).values("room")
        # Also rooms whose memberships end in this transaction: all locks are taken in id order, as in the writer.
        rooms = Room.objects.select_for_update().filter(Q(pk__in=reacted) | Q(pk__in=mine)).order_by("pk")
        for room in list(rooms):
            while _remove_some(room, user):
                pass


def _remove_some(room: Room, user: Any) -> bool:
    """Take back the person's reactions to up to 500 messages of a locked room; False when there are none."""
    mine = Reaction.objects.filter(user_key=str(user.pk))
    keys = list(mine.filter(message__room=room).values_list("message", flat=True).distinct()[:MESSAGES_AT_ONCE])
    if not keys:
        return False
    given = set(mine.filter(message__in=keys).values_list("message_id", "emoji"))
    mine.filter(message__in=keys).delete()
    messages = list(Message.objects.filter(pk__in=keys).select_related("author").order_by("pk"))
    for message in messages:
        for emoji in [each["emoji"] for each in message.reactions if (message.pk, each["emoji"]) in given]:
            message.reactions = _without(message, emoji, str(user.pk))
        message.changed_seq = sequence.next_seq(room)
    Message.objects.bulk_update(messages, ["reactions", "changed_seq"], batch_size=100)
    sequence.save_numbers(room)
    events = [message_changed(each) for each in messages]
    told = sequence.events_of(room, events)
    # A large number is not sent around: each process where somebody follows the room reads them page by page.
    publish_on_commit([told if len(events) <= TOLD_AT_MOST else CompareRoom(room.pk)])
    return True


def _without(message: Message, emoji: str, user_key: str) -> list[dict[str, Any]]:
    """The message's summary without one person. It takes a query only when somebody else moves up into the list."""
    (entry,) = (each for each in message.reactions if each["emoji"] == emoji)
    if entry["count"] > REACTION_USERS:
        return _with_fresh(message, emoji)
    less = {**entry, "count": entry["count"] - 1, "users": [each for each in entry["users"] if each != user_key]}
    return [less if each is entry else each for each in message.reactions if each is not entry or less["count"]]


def is_emoji(text: str) -> bool:
    """Whether ``text`` has the form of a single emoji. Fonts may still lack a picture for it."""
    return len(text) <= EMOJI_CHARS and _EMOJI.fullmatch(text) is not None


def _reactable(by: Any, message_id: int) -> tuple[Message, lookup.Entry]:
    message, entry = lookup.message(by, message_id, lock=True)
    if message.is_deleted:
        raise MessageNotFound
    if not policy().can_post(by, entry.room, entry.membership):
        raise MessageForbidden
    if entry.room.archived:
        raise RoomArchived
    return message, entry


def _with_fresh(message: Message, emoji: str) -> list[dict[str, Any]]:
    """The message's summary with ``emoji`` counted again. It keeps its place, and disappears with its last person."""
    rows = Reaction.objects.filter(message=message, emoji=emoji)
    users = list(rows.order_by("pk").values_list("user_key", flat=True)[:REACTION_USERS])
    count = len(users) if len(users) < REACTION_USERS else rows.count()
    fresh = {"emoji": emoji, "count": count, "users": users}
    summary = [fresh if each["emoji"] == emoji else each for each in message.reactions]
    if fresh not in summary:
        summary.append(fresh)
    return [each for each in summary if each["count"]]


def _result(by: Any, message: Message) -> ReactionResult:
    mine = reads.own_reactions(by, [message]).get(str(message.pk), [])
    return ReactionResult(seq=message.changed_seq, mine=mine)
