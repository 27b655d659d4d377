"""From wire ids to people."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError

from chat.access.policy import policy
from chat.wire.errors import UserNotFound


def welcome(user_ids: set[str]) -> list[Any]:
    """The welcome people with these wire ids.

    Raises:
        UserNotFound: One of them is unknown or not welcome.
    """
    manager = get_user_model()._default_manager
    try:
        found = list(manager.filter(pk__in=user_ids))
    except (ValueError, OverflowError, ValidationError, DataError):  # not even the form of a key
        raise UserNotFound from None
    # Spellings that only mean a key ("٣", " 3") are no wire ids: one person has one.
    if {str(each.pk) for each in found} != user_ids or not all(policy().is_welcome(each) for each in found):
        raise UserNotFound
    return found
