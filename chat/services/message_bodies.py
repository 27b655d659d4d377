"""What people write: whether it can be stored, and how it looks. The one place where Markdown meets people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.contrib.auth import get_user_model

from chat.access.policy import policy
from chat.conf import conf
from chat.models import Mention, Message, Room
from chat.rendering import markdown
from chat.wire import protocol
from chat.wire.errors import ChatError, MessageEmpty, MessageInvalidText, MessageTooLong

MENTIONS_AT_MOST = 50
HANDLES_PER_QUERY = 500


@dataclass(frozen=True)
class Rendered:
    html: str
    mentions: list[str]


def is_acceptable(body: str) -> bool:
    """Whether a message may have this body at all."""
    try:
        checked(body)
    except ChatError:
        return False
    return True


def render(room: Room | int, body: str) -> Rendered:
    """The body as sanitised HTML, with the members of the room (or of its key) that it mentions. One query at most."""
    text = body.strip()
    handles = markdown.handles(text)[:MENTIONS_AT_MOST] if "@" in text else []
    if not handles:
        return Rendered(markdown.render(text), [])
    place = room if isinstance(room, Room) else Room.objects.filter(pk=room).first()
    known: Mapping[str, str] = policy().mentioned(place, handles) if place is not None else {}
    return _rendered(text, known, handles)


def render_many(room: Room, bodies: Sequence[str]) -> list[Rendered]:
    """The same for many bodies of one room, in one query for each 500 names in them."""
    texts = [body.strip() for body in bodies]
    handles = [markdown.handles(text)[:MENTIONS_AT_MOST] if "@" in text else [] for text in texts]
    wanted = list(dict.fromkeys(handle for each in handles for handle in each))
    known: dict[str, str] = {}
    for start in range(0, len(wanted), HANDLES_PER_QUERY):
        known.update(policy().mentioned(room, wanted[start : start + HANDLES_PER_QUERY]))
    return [_rendered(text, known, own) for text, own in zip(texts, handles, strict=True)]


def render_edit(message_id: int, body: str) -> Rendered:
    """The same for the new text of a message."""
    room = Room.objects.filter(messages=message_id).first()
    return render(room or 0, body)


def checked(body: str) -> str:
    """``body`` as it is stored: trimmed.

    Raises:
        MessageEmpty, MessageTooLong, MessageInvalidText.
    """
    if not protocol.is_storable(body):
        raise MessageInvalidText
    text = body.strip()
    if not text:
        raise MessageEmpty
    if len(text) > conf.body_chars:
        raise MessageTooLong("A message has at most {most} characters.", values={"most": conf.body_chars}, field="body")
    return text


def store_mentions(messages: list[Message]) -> None:
    """Store whom the messages, whose rooms are locked, mention."""
    named = {user_id for each in messages for user_id in each.mentions}
    if not named:
        return
    # An account may have been deleted since the text was rendered, and no message fails for that. The room's members
    # cannot leave now: ending a membership needs the room lock that we hold.
    people = get_user_model()._default_manager.filter(pk__in=named).values_list("pk", flat=True)
    known = {str(each) for each in people}
    Mention.objects.bulk_create(
        Mention(message=each, user_id=user_id, user_key=user_id, room_id=each.room_id, number=each.number)
        for each in messages
        for user_id in each.mentions
        if user_id in known
    )


def _rendered(text: str, known: Mapping[str, str], handles: Iterable[str]) -> Rendered:
    named = {handle: known[handle] for handle in handles if handle in known}
    return Rendered(markdown.render(text, named), list(dict.fromkeys(named.values())))
