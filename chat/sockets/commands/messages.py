"""Commands about messages: ``message.post``, ``message.edit``, ``message.delete``, ``history``."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from chat.access import lookup, reads
from chat.rendering import markdown
from chat.runtime import pools
from chat.services import message_bodies, messages
from chat.services.changes import Call, Change
from chat.services.message_bodies import Rendered
from chat.services.posting import Post
from chat.sockets.commands.context import Context
from chat.wire import protocol
from chat.wire.errors import ServerBusy

RENDERED_AT_ONCE = 4
"""Texts of one person that may wait to be rendered, over all of their sockets. The worst take 50 ms each, and the pool
has one thread: without this limit, 20 sockets could hold up everybody's Markdown for a second."""
_rendering: Counter[str] = Counter()


async def post(context: Context, command: protocol.PostMessage) -> Change:
    room_id = lookup.key(command.room)
    return Post(
        by=context.user,
        room_id=room_id,
        client_id=command.client_id,
        body=command.body,
        reply_to=None if command.reply_to is None else lookup.key(command.reply_to),
        attachments=tuple(command.attachments),
        rendered=await _rendered(context, message_bodies.render, room_id, command.body),
    )


async def edit(context: Context, command: protocol.EditMessage) -> Change:
    message_id = lookup.key(command.message)
    rendered = await _rendered(context, message_bodies.render_edit, message_id, command.body)
    change = partial(messages.edit, by=context.user, message_id=message_id, body=command.body, rendered=rendered)
    return Call(context.user, lambda: protocol.SeqResult(seq=change()), message_id=message_id)


async def delete(context: Context, command: protocol.DeleteMessage) -> Change:
    message_id = lookup.key(command.message)
    change = partial(messages.delete, by=context.user, message_id=message_id)
    return Call(context.user, lambda: protocol.SeqResult(seq=change()), message_id=message_id)


async def history(context: Context, command: protocol.History) -> protocol.HistoryPage:
    return await pools.readers.run_for(
        context.connection.user_id,
        reads.history,
        context.user,
        lookup.key(command.room),
        before=command.before,
        after=command.after,
        around=command.around,
        limit=command.limit,
    )


async def _rendered(context: Context, render: Callable[[int, str], Rendered], place: int, body: str) -> Rendered | None:
    """The rendered text, made before the writer's turn; None for plain text, which costs the writer next to nothing."""
    if markdown.is_plain(body.strip()) or not message_bodies.is_acceptable(body):
        return None
    person = context.connection.user_id
    if _rendering[person] >= RENDERED_AT_ONCE:
        raise ServerBusy
    _rendering[person] += 1
    try:
        return await pools.render.run_for(person, render, place, body)
    finally:
        _rendering[person] -= 1
        if not _rendering[person]:
            del _rendering[person]
