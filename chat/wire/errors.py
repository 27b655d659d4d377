"""What can go wrong, as a client sees it: dotted error codes and close codes (docs/protocol.md, section 5).

Every refusal in the product is a ``ChatError``. Its ``code`` is stable and part of the wire contract; ``message`` is
a sentence for people; ``retry`` says whether the same request may succeed later. "Missing" and "not yours" are one
and the same error, so that nobody can probe for what they may not see.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar


class Close(IntEnum):
    """Codes the server closes a socket with. 1000 and 4000-4499 ask for a reconnect, 4500-4999 ask for none."""

    NORMAL = 1000
    FAILED = 4000
    HEARTBEAT_MISSED = 4001
    TOO_SLOW = 4008
    DRAINING = 4012
    FLOODING = 4029
    NO_TOKEN = 4401
    NOT_SIGNED_IN = 4501
    BANNED = 4503
    SESSION_ENDED = 4509
    UNSUPPORTED_PROTOCOL = 4510


def may_reconnect(code: int) -> bool:
    """Whether a client that was closed with ``code`` should come back after its back-off."""
    return not 4500 <= code <= 4999


class ChatError(Exception):
    """A refusal with a stable code. Raised by every rank; mapped to the wire once per edge."""

    code: ClassVar[str] = "server.error"
    text: ClassVar[str] = "Something went wrong on the server."
    retry: bool = False

    def __init__(
        self,
        message: str | None = None,
        *,
        values: Mapping[str, object] | None = None,
        field: str | None = None,
        retry_after_ms: int | None = None,
        retry: bool | None = None,
    ):
        if retry is not None:
            self.retry = retry
        # Kept apart, so that the sentence can be translated before its {names} are filled.
        self.sentence = message or self.text
        self.values = values or {}
        self.message = self.sentence.format(**self.values) if self.values else self.sentence
        self.field = field
        self.retry_after_ms = retry_after_ms
        super().__init__(self.message)


class ServerError(ChatError):
    retry = True


class ServerBusy(ChatError):
    code = "server.busy"
    text = "The server has too much to do right now. Try again in a moment."
    retry = True


class RateLimited(ChatError):
    code = "rate.limited"
    text = "That was too fast. Wait a moment."
    retry = True


class FrameNotJson(ChatError):
    code = "frame.not_json"
    text = "The frame is not a JSON object or an array of them."


class FrameTooLarge(ChatError):
    code = "frame.too_large"
    text = "The frame is larger than the server takes."


class CommandUnknown(ChatError):
    code = "command.unknown"
    text = "There is no such command."


class CommandInvalid(ChatError):
    code = "command.invalid"
    text = "A field of the command is missing or has the wrong form."


class AuthRequired(ChatError):
    code = "auth.required"
    text = "Sign in first."


class AuthInvalid(ChatError):
    code = "auth.invalid"
    text = "The token is not valid, or belongs to somebody else."


class SyncInProgress(ChatError):
    code = "sync.in_progress"
    text = "This room is being synced on this connection already."
    retry = True


class RoomNotFound(ChatError):
    code = "room.not_found"
    text = "There is no such room, or you may not see it."


class RoomForbidden(ChatError):
    code = "room.forbidden"
    text = "You may not do that in this room."


class RoomArchived(ChatError):
    code = "room.archived"
    text = "This room is archived: it can be read, not written to."


class RoomInvalid(ChatError):
    code = "room.invalid"
    text = "The room's name or topic can't be used."


class MemberNotFound(ChatError):
    code = "member.not_found"
    text = "There is no such person in this room."


class UserNotFound(ChatError):
    code = "user.not_found"
    text = "There is no such person."


class LastOwner(ChatError):
    code = "member.last_owner"
    text = "The room would have no owner left. Make somebody else an owner first."


class MessageNotFound(ChatError):
    code = "message.not_found"
    text = "There is no such message, or you may not see it."


class MessageForbidden(ChatError):
    code = "message.forbidden"
    text = "You may not change this message."


class MessageEmpty(ChatError):
    code = "message.empty"
    text = "A message needs some text."


class MessageTooLong(ChatError):
    code = "message.too_long"
    text = "The message is too long."


class MessageInvalidText(ChatError):
    code = "message.invalid_text"
    text = "The message holds characters that can't be stored."


class ClientIdConflict(ChatError):
    code = "message.client_id_conflict"
    text = "This client_id was used for another message already."


class AttachmentNotFound(ChatError):
    code = "attachment.not_found"
    text = "There is no such attachment, or it is not yours."


class EmojiInvalid(ChatError):
    code = "reaction.invalid"
    text = "That is not an emoji. Paste one, or use your keyboard's emoji key."


class TooManyReactions(ChatError):
    code = "reaction.too_many"
    text = "This message has as many different reactions as it can hold."
