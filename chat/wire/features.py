"""Optional fields and commands that a server may not know yet (docs/protocol.md, section 4, "Features").

A server refuses a command with a field that it does not know. So a client uses an optional one only where
``hello.features`` names it, and a post that needs one waits in the outbox for a server that does.
"""

from collections.abc import Callable

from chat.wire.commands import PostMessage

FEATURES: tuple[str, ...] = ("ping", "presence")
"""What this server knows beyond the first contract."""

_OF_POSTS: dict[str, Callable[[PostMessage], bool]] = {"attachments": lambda post: bool(post.attachments)}
"""A feature, and whether a post needs it."""


def needed_by(post: PostMessage) -> frozenset[str]:
    """The features that a server must name before it is sent this post."""
    return frozenset(name for name, is_needed in _OF_POSTS.items() if is_needed(post))
