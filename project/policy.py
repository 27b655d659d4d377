"""The policy of this site: all people with an account are colleagues; see ``SitePolicy``."""

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils.translation import gettext

from chat.access.policy import Policy
from chat.models import Membership, Room
from project.accounts.adapter import mail_is_set_up


class SitePolicy(Policy):
    """The chat's own policy with three differences: people may find everybody, superusers moderate open rooms, and
    where mail is sent, tokens are for people whose e-mail address is confirmed."""

    def people(self, user: Any) -> QuerySet[Any]:
        """All active accounts, for a person who is welcome."""
        people = get_user_model()._default_manager
        return people.filter(is_active=True) if self.is_welcome(user) else people.none()

    def can_moderate(self, user: Any, room: Room, membership: Membership | None) -> bool:
        """Also let superusers moderate open rooms, but not private ones."""
        if self.is_welcome(user) and user.is_superuser and room.is_open:
            return True
        return super().can_moderate(user, room, membership)

    def token_obstacle(self, owner: Any) -> str:
        if self._wants_proof() and not EmailAddress.objects.filter(user=owner, verified=True).exists():
            return gettext("Confirm your e-mail address first; then you can make tokens.")
        return super().token_obstacle(owner)

    def _wants_proof(self) -> bool:
        return mail_is_set_up() and settings.ACCOUNT_EMAIL_VERIFICATION != "none"
