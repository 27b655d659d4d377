"""From wire ids to people."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError

from chat.access.policy import policy
from chat.wire.errors import UserNotFound


def welcome(user_ids: set[str], *, by: Any) -> list[Any]:
    """The people with these wire ids, all of them welcome and such as ``by`` may find.

    Called inside the transaction that brings them into a room: a list that a page has shown is no permission.

    Raises:
        UserNotFound: One of them is unknown, not welcome or not for ``by`` to find: one answer, so that nobody can
            probe for accounts.
    """
    if not user_ids:
        return []
    try:
        found = list(policy().people(by).filter(pk__in=user_ids))
    except (ValueError, OverflowError, ValidationError, DataError):  # not even the form of a key
        raise UserNotFound from None
    # Spellings that only mean a key ("٣", " 3") are no wire ids: one person has one.
    if {str(each.pk) for each in found} != user_ids or not all(policy().is_welcome(each) for each in found):
        raise UserNotFound
    return found
