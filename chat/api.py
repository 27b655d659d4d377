"""The public Python API of the chat, for the site's own code.

It is safe in a view, in a thread without an event loop, in a Celery task, in another process. Inside your ``atomic()``
block everything is published when it commits, and not at all if it rolls back. Rooms are given as ``Room`` or as its
id, people as users of your user model. Refusals raise a ``ChatError`` (chat.wire.errors). Your code is trusted:
``CHAT["POLICY"]`` decides only where a person acts (``author``, ``by``, ``creator``); elsewhere the site itself acts.

The coroutines whose names begin with ``a`` do the same without blocking the event loop; they take no part in your
``atomic()`` block.
"""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID, uuid4

from django.db import models

from chat.access import lookup
from chat.access.policy import SITE
from chat.live.hints import Hint, Recheck, RecheckRoom, RoomTransient, ToEverybody, ToUser
from chat.live.publisher import publish_on_commit
from chat.models import Message, Room
from chat.runtime import pools
from chat.services import importing, memberships, messages, posting, reactions, room_deletion, rooms, tokens
from chat.services.importing import Imported, ImportRefused, PastMessage
from chat.services.writer import writer
from chat.wire import protocol
from chat.wire.errors import ChatError, CommandInvalid, MemberNotFound, RoomNotFound
from chat.wire.protocol import PostResult, ReactionResult

P = ParamSpec("P")
T = TypeVar("T")

__all__ = [
    "ChatError",
    "ImportRefused",
    "Imported",
    "PastMessage",
    "aadd_member",
    "acreate_room",
    "add_member",
    "adelete",
    "aedit",
    "anotify",
    "apost",
    "archive_room",
    "aremove_member",
    "arevoke_tokens",
    "aroom_for",
    "create_room",
    "delete",
    "delete_room",
    "edit",
    "import_messages",
    "notify",
    "open_direct",
    "post",
    "react",
    "recheck",
    "remove_member",
    "revoke_tokens",
    "room_for",
    "unreact",
    "update_room",
]

NOTICE_BYTES = 32 * 1024
"""Largest notice payload, as JSON."""


def post(
    room: Room | int | str,
    author: Any,
    body: str,
    *,
    client_id: UUID | None = None,
    reply_to: Message | int | str | None = None,
) -> PostResult:
    """Store a message and show it to the room after commit. No rate limit applies.

    Args:
        body: Markdown.
        client_id: Makes the call safe to repeat: the same one (with the same author and room) posts once.
        reply_to: A message of the same room, or its id.

    Raises:
        RoomNotFound: Missing, or hidden from ``author``; in that case the exception has a note.
    """
    try:
        return messages.post(
            by=author,
            room_id=_key(room),
            body=body,
            client_id=client_id,
            reply_to=None if reply_to is None else _key(reply_to),
        )
    except RoomNotFound as error:
        _explain(error, room, author)
        raise


async def apost(
    room: Room | int | str,
    author: Any,
    body: str,
    *,
    client_id: UUID | None = None,
    reply_to: Message | int | str | None = None,
) -> PostResult:
    """``post``, through the process's group commit: many calls at once share one transaction."""
    request = posting.Post(
        author,
        _key(room),
        client_id or uuid4(),
        body,
        reply_to=None if reply_to is None else _key(reply_to),
    )
    try:
        result: PostResult = await writer.submit(request)
        return result
    except RoomNotFound as error:
        await pools.site.run(_explain, error, room, author)
        raise


def _explain(error: RoomNotFound, room: Room | int | str, author: Any) -> None:
    """Add to the traceback what no client may be told: that the room exists."""
    key = _key(room)
    if Room.objects.filter(pk=key).exists():
        error.add_note(f"User {author.pk} is no member of room {key}, and the policy does not let them in.")


def import_messages(room: Room | int | str, messages: Iterable[PastMessage]) -> Imported:
    """Import messages from elsewhere, with their own times and authors, at the end of the room's timeline.

    Takes any iterable, in transactions of up to 500 messages. Repeating the call stores only what is missing.

    Raises:
        ImportRefused: Some messages of a batch can't be stored, so nothing of that batch is. The error names them.
    """
    return importing.import_messages(by=SITE, room_id=_key(room), messages=messages)


def edit(message: Message | int | str, by: Any, body: str) -> int:
    """Replace a message's text, and return the seq of its present state."""
    return messages.edit(by=by, message_id=_key(message), body=body)


def delete(message: Message | int | str, by: Any) -> int:
    """Turn a message into a tombstone, and return the seq of its present state."""
    return messages.delete(by=by, message_id=_key(message))


def react(message: Message | int | str, by: Any, emoji: str) -> ReactionResult:
    """Add ``by``'s reaction to a message; nothing happens if it is there already.

    Args:
        emoji: The character itself, not its name.
    """
    return reactions.add(by=by, message_id=_key(message), emoji=emoji)


def unreact(message: Message | int | str, by: Any, emoji: str) -> ReactionResult:
    """Take back ``by``'s reaction to a message; nothing happens if there is none."""
    return reactions.remove(by=by, message_id=_key(message), emoji=emoji)


def create_room(
    name: str,
    creator: Any,
    *,
    kind: str = "private",
    topic: str = "",
    members: Iterable[Any] = (),
    client_id: UUID | None = None,
) -> Room:
    """Make an ``open`` or ``private`` room owned by ``creator``, with ``members`` in it.

    Args:
        client_id: Makes the call safe to repeat: the same one (of the same creator) makes one room.
    """
    return rooms.create(
        by=creator,
        name=name,
        kind=kind,
        topic=topic,
        client_id=client_id,
        user_ids=[str(each.pk) for each in members],
        invited_by=SITE,
    )


async def acreate_room(
    name: str,
    creator: Any,
    *,
    kind: str = "private",
    topic: str = "",
    members: Iterable[Any] = (),
    client_id: UUID | None = None,
) -> Room:
    """``create_room``, without blocking the event loop."""
    # A pool runs its work again if the database connection dies meanwhile, perhaps after the commit.
    once, people = client_id or uuid4(), list(members)
    return await pools.site.run(
        partial(create_room, name, creator, kind=kind, topic=topic, members=people, client_id=once)
    )


def room_for(subject: models.Model, *, name: str = "", kind: str = "private") -> Room:
    """Return the one room on a model instance of yours; make it, without members, if there is none."""
    return rooms.room_for(subject, by=SITE, name=name, kind=kind)


def open_direct(user: Any, others: Iterable[Any]) -> Room:
    """Return the one direct room of exactly these people, even if ``user`` could not find them; make it if needed."""
    return rooms.open_direct(by=user, user_ids=[str(each.pk) for each in others], invited_by=SITE)


def archive_room(room: Room | int | str, *, archived: bool = True) -> Room:
    """Close a room to writing, or open it again."""
    return rooms.update(by=SITE, room_id=_key(room), archived=archived)


def update_room(
    room: Room | int | str, *, name: str | None = None, topic: str | None = None, kind: str | None = None
) -> Room:
    """Change a room's name, topic or kind, even if it is archived; what is None stays.

    When a room becomes ``private``, people who only watched lose it at that point of its history, and it gets another
    short name, which nobody can guess.
    """
    return rooms.update(by=SITE, room_id=_key(room), name=name, topic=topic, kind=kind)


def delete_room(room: Room | int | str) -> None:
    """Delete a room and all that was said in it, for good. ``room_for`` makes a new one for its subject after that.

    The room is gone from every page once your transaction commits. Its messages are deleted from the database right
    after that, in batches: a hundred thousand take some seconds.
    """
    room_deletion.delete(by=SITE, room_id=_key(room))


def add_member(room: Room | int | str, user: Any, *, role: str = "member") -> None:
    """Make somebody a member; nothing happens if they are one already."""
    memberships.add(by=SITE, room_id=_key(room), user_id=str(user.pk), role=role)


def remove_member(room: Room | int | str, user: Any) -> None:
    """End somebody's membership: nothing that happens in the room from then on reaches them."""
    with suppress(MemberNotFound):  # they never were a member
        memberships.remove(by=SITE, room_id=_key(room), user_id=str(user.pk))


def notify(
    payload: Any, *, users: Iterable[Any] | None = None, room: Room | int | str | None = None, everyone: bool = False
) -> None:
    """Send a ``notice`` to the open connections of some people, of everybody who follows a room, or of everybody.

    It is not stored: people who are not connected never get it.

    Args:
        payload: Anything that can be encoded as JSON, up to 32 KiB.

    Raises:
        CommandInvalid: Not exactly one audience, or too large a payload.
    """
    if (users is not None) + (room is not None) + everyone != 1:
        raise CommandInvalid("Name one audience: users, room or everyone.")
    encoded = protocol.encode(protocol.Notice(payload=payload))
    if len(encoded) > NOTICE_BYTES:
        raise CommandInvalid(f"A notice has at most {NOTICE_BYTES} bytes.", field="payload")
    hints: list[Hint]
    if users is not None:
        hints = [ToUser(str(each.pk), encoded) for each in users]
    elif room is not None:
        hints = [RoomTransient(_room_key(room), encoded)]
    else:
        hints = [ToEverybody(encoded)]
    publish_on_commit(hints)


def recheck(users: Iterable[Any] | None = None, *, room: Room | int | str | None = None) -> None:
    """Make every process check at once whether people are still welcome, and in which rooms.

    Call it when a right that your policy decides has changed. Without this call, processes notice within a minute.

    Args:
        users: Check these people, wherever they are.
        room: Check everybody who follows this room or, with ``users``, those of them who do.

    Raises:
        CommandInvalid: Neither is given.
    """
    keys = None if users is None else [str(each.pk) for each in users]
    if room is not None:
        publish_on_commit([RecheckRoom(_room_key(room), keys)])
    elif keys is not None:
        publish_on_commit([Recheck(each) for each in keys])
    else:
        raise CommandInvalid("Name users, a room or both.")


def revoke_tokens(user: Any) -> int:
    """End all bearer tokens of a person and the sockets that they opened, and return the number of tokens.

    Call it in your view that resets a forgotten password, in the transaction that stores the new one: whoever knew the
    old password may have made tokens, which a new password alone does not end.
    """
    return tokens.revoke_all(by=SITE, user=user)


def _async(call: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return the asynchronous version of ``call``, with the same arguments."""

    @wraps(call)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await pools.site.run(partial(call, *args, **kwargs))

    run.__name__ = run.__qualname__ = f"a{call.__name__}"
    run.__doc__ = f"``{call.__name__}``, without blocking the event loop."
    return run


aedit = _async(edit)
adelete = _async(delete)
aroom_for = _async(room_for)
aadd_member = _async(add_member)
aremove_member = _async(remove_member)
anotify = _async(notify)
arevoke_tokens = _async(revoke_tokens)


def _key(thing: models.Model | int | str) -> int:
    return lookup.key(thing.pk or 0 if isinstance(thing, models.Model) else thing)


def _room_key(room: Room | int | str) -> int:
    if not (pk := _key(room)):
        raise RoomNotFound
    return pk
