"""From wire ids to people, and people who stay."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DataError

from chat.access import directory
from chat.access.policy import rules_for
from chat.models.database import alias, connection
from chat.wire.errors import ChatError, UserNotFound

NAMED_AT_MOST = 5
ID_CHARS = 40
"""Of an id that is none: it may be of any length."""


def welcome(user_ids: Iterable[str], *, by: Any) -> list[Any]:
    """The people with these wire ids, in their order, all of them welcome and such as ``by`` may find.

    Called inside the transaction that brings them into a room: that a page has listed them is no permission.

    Raises:
        UserNotFound: One of them is unknown, not welcome or not for ``by`` to find: one answer, so that nobody can
            probe for accounts.
    """
    wanted = list(dict.fromkeys(user_ids))
    if not wanted:
        return []
    rules = rules_for(by)
    try:
        found = {str(each.pk): each for each in rules.people(by).filter(pk__in=wanted)}
    except (ValueError, OverflowError, ValidationError, DataError):  # not even the form of a key
        raise UserNotFound from None
    # Other spellings that mean the same key ("٣", " 3") are no wire ids: a person has one.
    if refused := [each for each in wanted if each not in found or not rules.is_welcome(found[each])]:
        raise _not_found(refused, by) if len(wanted) > 1 else UserNotFound()
    return [found[each] for each in wanted]


def _not_found(user_ids: list[str], by: Any) -> UserNotFound:
    """Says who of several it is: by name where ``by`` sees the name in a room, else by the id that was given."""
    names = directory.names_beside(by, user_ids)
    told = [names.get(each, each[:ID_CHARS]) for each in sorted(user_ids)[:NAMED_AT_MOST]]
    more = ["…"] if len(user_ids) > NAMED_AT_MOST else []
    return UserNotFound("There is no such person: {users}.", values={"users": ", ".join(told + more)})


def lock_accounts(*persons: Any, gone: type[ChatError] = UserNotFound) -> None:
    """See to it that nobody deletes these accounts before the transaction ends, so that rows of it may name them.

    Called with the rooms locked: rooms come before people, everywhere.

    Raises:
        ``gone``: One of them is deleted already.
    """
    if existing_accounts(persons) != {str(each.pk) for each in persons}:
        raise gone


def existing_accounts(persons: Iterable[Any]) -> set[str]:
    """The same, for those of them whose accounts are still there; their wire ids."""
    keys = {each.pk for each in persons}
    if not keys:
        return set()
    manager = get_user_model()._base_manager.using(alias())
    rows = manager.filter(pk__in=keys).order_by("pk").values_list("pk", flat=True)
    if connection().vendor != "postgresql":
        return {str(each) for each in rows}  # the only writer there is
    # PostgreSQL takes this lock by itself for each row that names somebody, but at the commit, too late for an answer.
    # Django knows only stronger ones: two people who bring each other into a room would wait in a circle.
    sql, params = rows.query.sql_with_params()
    with connection().cursor() as cursor:
        cursor.execute(f"{sql} FOR KEY SHARE", params)
        return {str(key) for (key,) in cursor.fetchall()}
