from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.models.guards import GuardedQuerySet, LiveModel
from chat.models.profiles import Profile
from chat.models.rooms import Room


class MembershipQuerySet(GuardedQuerySet["Membership"]):
    def present(self) -> "MembershipQuerySet":
        return self.filter(left_at__isnull=True)

    def of(self, user: Any) -> "MembershipQuerySet":
        return self.filter(user_key=str(user.pk))

    def with_people(self) -> "MembershipQuerySet":
        """With everybody whom ``serializers.member`` names, in the same query."""
        return self.select_related("user", "moved_by")

    def called(self, handle_keys: Iterable[str]) -> "MembershipQuerySet":
        """Whose handle has one of these keys (``rendering.name_keys``)."""
        return self.filter(user_key__in=Profile.objects.filter(handle_key__in=handle_keys).values("user_key"))


class Membership(LiveModel):
    """One person's place in one room. Who left stays as a tombstone, so that a catch-up can tell it.

    ``read_number`` is the person's read pointer and ``rev`` counts its moves. ``moves`` counts comings and goings; the
    sum over a person's memberships is their ``rooms_version``.
    """

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MODERATOR = "moderator", _("moderator")
        MEMBER = "member", _("member")

    # Its own index stays: of those that begin with room, on SQLite it alone has the members in the order of their keys.
    room = models.ForeignKey(Room, models.PROTECT, related_name="memberships", verbose_name=_("room"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="chat_memberships", verbose_name=_("person")
    )
    user_key = models.CharField(max_length=64, editable=False)
    """The person's id on the wire; outlives the account, so that a tombstone can still be told apart."""
    role = models.CharField(_("role"), max_length=9, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(_("joined"), default=timezone.now, editable=False)
    left_at = models.DateTimeField(_("left"), null=True, blank=True, editable=False)
    joined_seq = models.BigIntegerField(editable=False)
    changed_seq = models.BigIntegerField(editable=False)
    moves = models.PositiveIntegerField(default=1, editable=False)
    moved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, editable=False, related_name="+")
    """Who added or removed the person, by their latest coming or going; None: they themselves, the site, or an account
    that is gone."""

    read_number = models.BigIntegerField(_("read up to"), default=0, editable=False)
    rev = models.BigIntegerField(default=0, editable=False)
    hidden = models.BooleanField(default=False, editable=False)
    """A direct room that its person closed; it comes back with its next message."""
    declined = models.BooleanField(default=False, db_default=False, editable=False)
    """Its person left a private room by themselves. Only an invitation that they accept, or the site, brings them back.

    The database has the default too: in a rolling update, processes of an older version add rows without it."""

    objects = MembershipQuerySet.as_manager()  # type: ignore[misc]  # the base's is a class variable to mypy

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        indexes: ClassVar = [
            models.Index(fields=["room", "changed_seq"], name="chat_membership_changed"),
            # Who came and went beside a page of the timeline, without looking at the room's other people.
            models.Index(fields=["room", "joined_at"], name="chat_membership_came"),
            models.Index(
                fields=["room", "left_at"], name="chat_membership_went", condition=models.Q(left_at__isnull=False)
            ),
        ]
        constraints: ClassVar = [
            # user_key first: it finds all rooms of a person, too.
            models.UniqueConstraint(fields=["user_key", "room"], name="chat_membership_once"),
        ]

    def __str__(self) -> str:
        return gettext("%(who)s in %(room)s") % {"who": self.user or self.user_key, "room": self.room}

    @property
    def is_present(self) -> bool:
        return self.left_at is None
