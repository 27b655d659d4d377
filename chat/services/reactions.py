"""Emoji on messages. Each is a durable change of the message, and the summary travels with it."""

import unicodedata
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
_ODD_EMOJI = frozenset("‼⁉〰〽#*0123456789\u200d\u20e3\ufe0e\ufe0f")
"""Parts of emoji outside the symbol categories: punctuation, key caps, joiners, variation selectors."""


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
    """Whether ``text`` looks like one emoji: symbols and their joiners only."""
    return (
        0 < len(text) <= EMOJI_CHARS
        and any(unicodedata.category(each) in ("So", "Sm", "Po", "Pd", "Me") and not each.isascii() for each in text)
        and all(
            each in _ODD_EMOJI or (unicodedata.category(each) in ("So", "Sm", "Sk", "Cf") and not each.isascii())
            for each in text
        )
    )


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
