import hashlib
from collections.abc import Iterable
from secrets import token_hex
from typing import ClassVar

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from chat.models.database import alias
from chat.models.guards import GuardedQuerySet, LiveModel
from chat.wire.position import Position

EPOCH_BYTES = 8
NAME_CHARS = 100
TOPIC_CHARS = 500


def new_epoch() -> str:
    """A random name for a new numbering of a room."""
    return token_hex(EPOCH_BYTES)


def direct_key_of(user_keys: Iterable[str]) -> str:
    """What makes the direct room of just these people the only one."""
    return hashlib.sha256(",".join(sorted(user_keys)).encode()).hexdigest()


class PresentRooms(models.Manager["Room"]):
    """Rooms that are not deleted. The default: to every door, list and look-up, a deleted room is a missing one."""

    def get_queryset(self) -> "GuardedQuerySet[Room]":
        return GuardedQuerySet(self.model, using=self._db).filter(deleted_at=None)


class Room(LiveModel):
    """One log. ``head`` is the seq of its last durable change, ``last_number`` the number of its last message.

    Both rise only under this row's lock, in the transaction of the change: so seq order is commit order, without gaps.
    A deleted room stays as a nameless tombstone, since the memberships in it do: ``objects`` doesn't show it.
    """

    class Kind(models.TextChoices):
        OPEN = "open", _("open")
        PRIVATE = "private", _("private")
        DIRECT = "direct", _("direct")

    slug = models.SlugField(_("short name"), max_length=80, unique=True, allow_unicode=True)
    name = models.CharField(_("name"), max_length=NAME_CHARS, blank=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default=Kind.OPEN)
    topic = models.CharField(_("topic"), max_length=TOPIC_CHARS, blank=True)
    archived = models.BooleanField(_("archived"), default=False)

    epoch = models.CharField(max_length=32, default=new_epoch, editable=False)
    head = models.BigIntegerField(default=0, editable=False)
    run = models.CharField(max_length=16, default="", db_default="", editable=False)
    run_seq = models.BigIntegerField(default=0, db_default=0, editable=False)
    """The run of the database in which the head was given out (models/runs.py), and the room's first seq in it."""
    last_number = models.BigIntegerField(default=0, editable=False)
    changed_seq = models.BigIntegerField(default=0, editable=False)
    member_count = models.PositiveIntegerField(_("members"), default=0, editable=False)
    last_message_at = models.DateTimeField(_("last message"), null=True, blank=True, editable=False)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("created by")
    )
    client_id = models.UUIDField(null=True, editable=False)
    direct_key = models.CharField(max_length=64, null=True, unique=True, editable=False)
    subject_type = models.ForeignKey(ContentType, models.CASCADE, null=True, editable=False, related_name="+")
    subject_id = models.CharField(max_length=255, null=True, editable=False)
    private_seq = models.BigIntegerField(default=0, editable=False)
    """The seq at which the room last became private. No feed is carried past it: people who only watched lose the room
    there."""
    deleted_at = models.DateTimeField(null=True, editable=False)
    is_swept = models.BooleanField(default=False, editable=False)
    """Of a deleted room: that nothing is left of what was said in it."""

    objects = PresentRooms()  # type: ignore[misc, assignment]  # the base's is a class variable to mypy
    with_deleted = GuardedQuerySet.as_manager()

    class Meta:
        verbose_name = _("room")
        verbose_name_plural = _("rooms")
        indexes: ClassVar = [models.Index(fields=["kind", "archived", "id"], name="chat_room_lists")]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["created_by", "client_id"], name="chat_room_created_once"),
            models.UniqueConstraint(fields=["subject_type", "subject_id"], name="chat_room_one_per_subject"),
            models.CheckConstraint(
                condition=Q(kind="direct", direct_key__isnull=False) | (~Q(kind="direct") & Q(direct_key__isnull=True)),
                name="chat_room_direct_key",
            ),
            models.CheckConstraint(
                condition=Q(last_number__gte=0, head__gte=F("last_number"), changed_seq__lte=F("head")),
                name="chat_room_numbers",
            ),
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=True)
                | Q(name="", topic="", kind="private", subject_id__isnull=True, member_count=0),
                name="chat_room_tombstone",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.slug

    @property
    def position(self) -> Position:
        """Where the room's numbers stand, as this row was read."""
        return Position(self.epoch, self.head, self.run, self.run_seq)

    @property
    def is_direct(self) -> bool:
        return self.kind == self.Kind.DIRECT

    def is_deserted_for(self, user_key: str) -> bool:
        """Whether it is a direct room whose other people are all gone; one made for oneself alone never is."""
        return self.is_direct and self.member_count < 2 and self.direct_key != direct_key_of([user_key])

    @property
    def is_open(self) -> bool:
        return self.kind == self.Kind.OPEN

    @property
    def subject(self) -> models.Model | None:
        """The object of the host's that ``chat.api.room_for`` made the room for; None without one. One query."""
        if self.subject_type_id is None:
            return None
        model = ContentType.objects.db_manager(alias()).get_for_id(self.subject_type_id).model_class()
        return model._base_manager.filter(pk=self.subject_id).first() if model else None
