"""Who may do what on this site: everybody with an account is a colleague, and superusers keep the open rooms."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from chat.access.policy import Policy
from chat.models import Membership, Room


class SitePolicy(Policy):
    """As the chat's own policy, with two differences: people may find everybody, superusers need not be members."""

    def people(self, user: Any) -> QuerySet[Any]:
        """Every active account."""
        people = get_user_model()._default_manager
        return people.filter(is_active=True) if self.is_welcome(user) else people.none()

    def can_moderate(self, user: Any, room: Room, membership: Membership | None) -> bool:
        """Also superusers in open rooms; what is private stays so."""
        if self.is_welcome(user) and user.is_superuser and room.is_open:
            return True
        return super().can_moderate(user, room, membership)
