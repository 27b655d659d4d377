from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.models.guards import LiveModel
from chat.models.rooms import Room


def key_of(author: Any, client_id: Any) -> str:
    """The ``user_key`` of an author. A message from elsewhere whose author has no account gets one of its own."""
    return str(author.pk) if author is not None else f"gone:{client_id}"


class Message(LiveModel):
    """One message in its present state; a deleted one stays as a tombstone without text.

    ``number`` is its place in the timeline (1, 2, 3 … without gaps), ``seq`` its birth, ``changed_seq`` its last
    durable change. ``reactions`` is the summary that goes on the wire, kept with the row so that reading history
    needs no second table.
    """

    KIND_TEXT = "text"

    room = models.ForeignKey(Room, models.PROTECT, db_index=False, related_name="messages", verbose_name=_("room"))
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        db_index=False,
        related_name="chat_messages",
        verbose_name=_("author"),
    )
    user_key = models.CharField(max_length=64, editable=False)
    """The author's id on the wire. It outlives the account, so a late repeat is still recognised."""
    client_id = models.UUIDField(editable=False)
    body_hash = models.BinaryField(max_length=32, editable=False)
    """SHA-256 of the body first posted: tells a repeat from another message with the same client_id."""
    number = models.BigIntegerField(_("number"), editable=False)
    seq = models.BigIntegerField(editable=False)
    changed_seq = models.BigIntegerField(editable=False)
    kind = models.CharField(max_length=16, default=KIND_TEXT, editable=False)
    body = models.TextField(_("text"), blank=True)
    html = models.TextField(editable=False, blank=True)
    reply_to = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, editable=False, related_name="+")
    reply_number = models.BigIntegerField(null=True, editable=False)
    mentions: "models.JSONField[Any, list[str]]" = models.JSONField(default=list, editable=False)
    reactions: "models.JSONField[Any, list[dict[str, Any]]]" = models.JSONField(default=list, editable=False)
    created_at = models.DateTimeField(_("posted"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes: ClassVar = [
            models.Index(fields=["room", "changed_seq"], name="chat_message_changed"),
            # An author's messages, newest first: all of them, and those in one room.
            models.Index(fields=["author", "id"], name="chat_message_of_author"),
            models.Index(fields=["author", "room", "number"], name="chat_message_author_in_room"),
        ]
        constraints: ClassVar = [
            # client_id first: it is random, so one probe finds the row, and one query looks up a batch.
            models.UniqueConstraint(fields=["client_id", "user_key", "room"], name="chat_message_posted_once"),
            models.UniqueConstraint(fields=["room", "number"], name="chat_message_number"),
            models.UniqueConstraint(fields=["room", "seq"], name="chat_message_seq"),
            models.CheckConstraint(
                condition=Q(number__gte=1, seq__gte=F("number"), changed_seq__gte=F("seq")), name="chat_message_order"
            ),
        ]

    def __str__(self) -> str:
        return gettext("#%(number)s in room %(room)s") % {"number": self.number, "room": self.room_id}

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None


class Reaction(LiveModel):
    """One person's one emoji on one message."""

    message = models.ForeignKey(Message, models.CASCADE, db_index=False, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    user_key = models.CharField(max_length=64, editable=False)
    emoji = models.CharField(max_length=32)

    class Meta:
        # A person's own reactions to the messages of a page.
        indexes: ClassVar = [models.Index(fields=["user_key", "message"], name="chat_reaction_of_person")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["message", "emoji", "user_key"], name="chat_reaction_once"),
        ]

    def __str__(self) -> str:
        return f"{self.emoji} on message {self.message_id}"


class Mention(LiveModel):
    """That a message mentions a person. Unread mentions are counted here, without looking into messages."""

    message = models.ForeignKey(Message, models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    user_key = models.CharField(max_length=64, editable=False)
    room = models.ForeignKey(Room, models.PROTECT, related_name="+")
    number = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user_key", "room", "number"], name="chat_mention_once"),
        ]

    def __str__(self) -> str:
        return f"mention in message {self.message_id}"
