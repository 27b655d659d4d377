"""The site's own tables: one row of settings, invitations, and the cache that rate limits count in."""

import secrets

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

CODE_BYTES = 20
"""160 random bits, so that nobody can guess an invitation."""


class SiteSettings(models.Model):
    """One row, with key 1. It is also the lock that makes sign-ups, invitations and the set-up take turns."""

    class SignUp(models.TextChoices):
        OPEN = "open", _("Everybody who finds the address")
        INVITATION = "invitation", _("People with an invitation link")
        CLOSED = "closed", _("Nobody")

    class Stage(models.TextChoices):
        """How far the owner has come with setting up the site."""

        OWNER = "owner"
        ROOMS = "rooms"
        ACCESS = "access"
        DONE = "done"

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    name = models.CharField(_("name of the site"), max_length=60, blank=True)
    sign_up = models.CharField(_("who may sign up"), max_length=12, choices=SignUp.choices, default=SignUp.INVITATION)
    members_invite = models.BooleanField(
        _("every member may invite"),
        default=False,
        help_text=_("Otherwise only the owners of the site can make invitation links."),
    )
    first_rooms = models.JSONField(_("rooms that new accounts join"), default=list, blank=True)
    stage = models.CharField(max_length=8, choices=Stage.choices, default=Stage.OWNER, editable=False)

    class Meta:
        verbose_name = verbose_name_plural = _("site settings")
        constraints = (models.CheckConstraint(condition=Q(pk=1), name="accounts_one_row_of_settings"),)

    def __str__(self) -> str:
        return self.name or "Hearth"


def new_code() -> str:
    return secrets.token_urlsafe(CODE_BYTES)


class InvitationQuerySet(models.QuerySet["Invitation", "Invitation"]):
    def usable(self) -> "InvitationQuerySet":
        """Invitations that are not revoked, expired or used up. Whether the inviter may still invite is not checked."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
            Q(max_uses=None) | Q(uses__lt=F("max_uses")),
            revoked_at=None,
        )


class Invitation(models.Model):
    """A link that lets people make an account. The code is stored in plain text so that the link can be shown again."""

    code = models.CharField(max_length=40, unique=True, default=new_code, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="invitations", verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    max_uses = models.PositiveIntegerField(_("most uses"), null=True, blank=True)
    uses = models.PositiveIntegerField(_("uses"), default=0, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    note = models.CharField(_("note"), max_length=100, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ("-created_at", "-pk")
        constraints = (
            models.CheckConstraint(
                condition=Q(max_uses=None) | Q(uses__lte=F("max_uses")), name="accounts_invitation_not_overused"
            ),
        )

    def __str__(self) -> str:
        return self.note or f"{self.created_at:%Y-%m-%d %H:%M}"

    @property
    def state(self) -> str:
        """One of usable, revoked, expired, used_up."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= timezone.now():
            return "expired"
        if self.max_uses is not None and self.uses >= self.max_uses:
            return "used_up"
        return "usable"


class NameSkeleton(models.Model):
    """What a user name looks like (``skeletons.py``); nobody has more than three."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    skeleton = models.CharField(max_length=150, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "skeleton"), name="accounts_skeleton_once"),)

    def __str__(self) -> str:
        return self.skeleton


class CacheEntry(models.Model):
    """The table of Django's database cache, as a model so that ``migrate`` creates it."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.cache_key
