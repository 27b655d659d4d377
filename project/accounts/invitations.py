"""Make, amend, revoke, remove and redeem invitations. Nothing else changes an ``Invitation``."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from project.accounts import site
from project.accounts.errors import InvitationNotValid, InvitingForbidden, TooManyInvitations, UsedMoreOften
from project.accounts.models import Invitation, InvitationQuerySet, SiteSettings

INVITATIONS_PER_PERSON = 100
"""Invitations of one person that are usable or were made within a day. All of them are shown on one page."""


def may_invite(user: Any, settings: SiteSettings | None = None) -> bool:
    """Whether ``user`` may make invitation links. Their links are valid only as long as this is true."""
    if user is None or not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    return (settings or site.current()).members_invite


def create(
    *,
    by: Any,
    lifetime: timedelta | None = None,
    expires_at: datetime | None = None,
    max_uses: int | None = None,
    note: str = "",
) -> Invitation:
    """Make an invitation.

    Args:
        lifetime: An alternative to ``expires_at``. Without either, the invitation does not expire.
        max_uses: None means no limit.

    Raises:
        InvitingForbidden: ``by`` may not invite.
        TooManyInvitations: ``by`` has as many as one person may have.
    """
    with transaction.atomic():
        if not may_invite(by, site.locked()):
            raise InvitingForbidden
        if not may_make_another(by):
            raise TooManyInvitations
        return Invitation.objects.create(
            created_by=by,
            expires_at=timezone.now() + lifetime if lifetime else expires_at,
            max_uses=max_uses,
            note=_line(note),
        )


def may_make_another(by: Any) -> bool:
    """Whether ``by`` has fewer invitations than one person may have. ``create`` checks again."""
    own = Invitation.objects.filter(created_by=by)
    lately = own.filter(created_at__gt=timezone.now() - timedelta(days=1))
    return (own.usable() | lately).count() < INVITATIONS_PER_PERSON


def amend(*, by: Any, key: int | str, expires_at: datetime | None, max_uses: int | None, note: str) -> None:
    """Change an invitation's expiry, limit and note. Superusers may change any, others their own.

    Raises:
        InvitationNotValid: Missing, or not one that ``by`` may see.
        UsedMoreOften: It was used more than ``max_uses`` times already. Revoke it to end it.
    """
    with transaction.atomic():
        found = _locked(by, key)
        if max_uses is not None and found.filter(uses__gt=max_uses).exists():
            raise UsedMoreOften
        found.update(expires_at=expires_at, max_uses=max_uses, note=_line(note))


def revoke(*, by: Any, key: int | str) -> None:
    """Make an invitation void; harmless when repeated. Superusers may revoke any, others their own.

    Raises:
        InvitationNotValid: Missing, or not one that ``by`` may see.
    """
    with transaction.atomic():
        _locked(by, key).filter(revoked_at=None).update(revoked_at=timezone.now())


def remove(*, by: Any, key: int | str) -> None:
    """Delete an invitation. Superusers may delete any, others their own.

    Raises:
        InvitationNotValid: Missing, or not one that ``by`` may see.
    """
    with transaction.atomic():
        _locked(by, key).delete()


def _locked(by: Any, key: int | str) -> InvitationQuerySet:
    """The one invitation as a queryset, with the site locked: sign-ups end before this transaction or wait for it."""
    site.locked()
    try:
        found = visible_to(by).filter(pk=key)
    except ValueError:
        raise InvitationNotValid from None
    if not found.exists():
        raise InvitationNotValid
    return found


def _line(note: str) -> str:
    return " ".join(note.split())


def visible_to(user: Any) -> InvitationQuerySet:
    """The invitations that ``user`` may see and revoke."""
    everything = Invitation.objects.select_related("created_by")
    return everything if user.is_superuser else everything.filter(created_by=user)


def find(code: str, settings: SiteSettings | None = None) -> Invitation:
    """Find a usable invitation.

    Raises:
        InvitationNotValid: It is unknown, revoked, expired or used up, sign-up is closed, or its maker may no longer
            invite: one answer, so that nobody can tell which.
    """
    settings = settings or site.current()
    may_exist = bool(code) and "\x00" not in code  # PostgreSQL refuses U+0000 in a query
    found = Invitation.objects.usable().select_related("created_by").filter(code=code).first() if may_exist else None
    if found is None or settings.sign_up == SiteSettings.SignUp.CLOSED or not may_invite(found.created_by, settings):
        raise InvitationNotValid
    return found


def redeem(code: str, settings: SiteSettings) -> Invitation:
    """Use an invitation once, in the transaction that makes the account; ``settings`` is the locked row.

    Raises:
        InvitationNotValid: As for ``find``. If two people use the last place at once, the second gets this.
    """
    found = find(code, settings)
    # Check again in the UPDATE: the limit holds even on a database whose row lock would not make sign-ups take turns.
    if not Invitation.objects.usable().filter(pk=found.pk).update(uses=F("uses") + 1):
        raise InvitationNotValid
    return found
