"""The policy of this site: all people with an account are colleagues, and superusers moderate open rooms."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from chat.access.policy import Policy
from chat.models import Membership, Room


class SitePolicy(Policy):
    """The chat's own policy with two differences: people may find everybody, and superusers moderate open rooms."""

    def people(self, user: Any) -> QuerySet[Any]:
        """All active accounts, for a person who is welcome."""
        people = get_user_model()._default_manager
        return people.filter(is_active=True) if self.is_welcome(user) else people.none()

    def can_moderate(self, user: Any, room: Room, membership: Membership | None) -> bool:
        """Also let superusers moderate open rooms, but not private ones."""
        if self.is_welcome(user) and user.is_superuser and room.is_open:
            return True
        return super().can_moderate(user, room, membership)
