"""Emoji on messages. Each is a durable change of the message, and the summary travels with it."""

import re
from typing import Any

from chat.access import doors, queries
from chat.access.policy import policy
from chat.access.shapes import REACTION_USERS
from chat.conf import conf
from chat.models import Message, Reaction
from chat.models.database import write
from chat.services.messages import announce_change
from chat.wire.errors import EmojiInvalid, MessageForbidden, MessageNotFound, RoomArchived, TooManyReactions
from chat.wire.protocol import ReactionResult

EMOJI_CHARS = 32
"""A family with skin tones has eleven; more is no emoji."""
_SYMBOL = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff]"
)
"""The blocks that hold emoji; a sign in them that is none does no harm."""
_PART = f"{_SYMBOL}[\ufe0e\ufe0f]?[\U0001f3fb-\U0001f3ff]?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
"""A symbol with its presentation, skin tone, and the tags that spell a region's flag."""
_EMOJI = re.compile(
    "[\U0001f1e6-\U0001f1ff]{2}"  # a country's flag
    "|[0-9#*]\ufe0f?\u20e3"  # a key cap
    f"|{_PART}(?:\u200d{_PART})*"  # several joined into one, such as a family
)


def add(*, actor: Any, message_id: str | int, emoji: str) -> ReactionResult:
    """React to a message; nothing happens if ``actor`` has with this emoji already.

    Raises:
        MessageNotFound: Missing, deleted, or in a room that ``actor`` may not read.
        MessageForbidden: ``actor`` may not write in the room.
        EmojiInvalid, TooManyReactions, RoomArchived.
    """
    if not is_emoji(emoji):
        raise EmojiInvalid(field="emoji")
    with write():
        message, entry = _reactable(actor, message_id)
        summary = {each["emoji"]: each for each in message.reactions}
        if not Reaction.objects.filter(message=message, user=actor, emoji=emoji).exists():
            if emoji not in summary and len(summary) >= conf.reactions_per_message:
                raise TooManyReactions
            Reaction.objects.create(message=message, user=actor, emoji=emoji)
            message.reactions = _with_fresh(message, emoji)
            announce_change(entry.room, message, "reactions")
        return _result(actor, message)


def remove(*, actor: Any, message_id: str | int, emoji: str) -> ReactionResult:
    """Take a reaction back; nothing happens if there is none. Raises as ``add``."""
    with write():
        message, entry = _reactable(actor, message_id)
        gone, _ = Reaction.objects.filter(message=message, user=actor, emoji=emoji).delete()
        if gone:
            message.reactions = _with_fresh(message, emoji)
            announce_change(entry.room, message, "reactions")
        return _result(actor, message)


def is_emoji(text: str) -> bool:
    """Whether ``text`` has the form of one emoji. Whether a font has a picture for it is not known here."""
    return len(text) <= EMOJI_CHARS and _EMOJI.fullmatch(text) is not None


def _reactable(actor: Any, message_id: str | int) -> tuple[Message, doors.Entry]:
    message, entry = doors.message(actor, message_id, lock=True)
    if message.is_deleted:
        raise MessageNotFound
    if not policy().can_post(actor, entry.room, entry.membership):
        raise MessageForbidden
    if entry.room.archived:
        raise RoomArchived
    return message, entry


def _with_fresh(message: Message, emoji: str) -> list[dict[str, Any]]:
    """The message's summary with ``emoji`` counted anew; it keeps its place, and goes when nobody is left."""
    rows = Reaction.objects.filter(message=message, emoji=emoji)
    users = [str(each) for each in rows.order_by("pk").values_list("user_id", flat=True)[:REACTION_USERS]]
    count = len(users) if len(users) < REACTION_USERS else rows.count()
    fresh = {"emoji": emoji, "count": count, "users": users}
    summary = [fresh if each["emoji"] == emoji else each for each in message.reactions]
    if fresh not in summary:
        summary.append(fresh)
    return [each for each in summary if each["count"]]


def _result(actor: Any, message: Message) -> ReactionResult:
    mine = queries.own_reactions(actor, [message]).get(str(message.pk), [])
    return ReactionResult(seq=message.changed_seq, mine=mine)
