"""From wire ids to people, and accounts that stay until a transaction ends."""

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
"""How much of an unknown id an error repeats: it may be of any length."""


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
    """An error that says which of several people is meant: by name where ``by`` sees it in a room, else by id."""
    names = directory.names_beside(by, user_ids)
    told = [names.get(each, each[:ID_CHARS]) for each in sorted(user_ids)[:NAMED_AT_MOST]]
    more = ["…"] if len(user_ids) > NAMED_AT_MOST else []
    return UserNotFound("There is no such person: {users}.", values={"users": ", ".join(told + more)})


def lock_accounts(*persons: Any, gone: type[ChatError] = UserNotFound) -> None:
    """Keep these accounts from being deleted before the transaction ends, so that its rows may name them.

    Call it with the rooms locked: everywhere, rooms are locked before people.

    Raises:
        gone: One of them is deleted already.
    """
    if existing_accounts(persons) != {str(each.pk) for each in persons}:
        raise gone


def existing_accounts(persons: Iterable[Any]) -> set[str]:
    """Lock those of the accounts that still exist, like ``lock_accounts``, and return their wire ids."""
    keys = {each.pk for each in persons}
    if not keys:
        return set()
    manager = get_user_model()._base_manager.using(alias())
    rows = manager.filter(pk__in=keys).order_by("pk").values_list("pk", flat=True)
    if connection().vendor != "postgresql":
        return {str(each) for each in rows}  # SQLite has one writer at a time: this transaction
    # PostgreSQL takes this lock by itself for each row that names somebody, but only at the commit, too late for an
    # answer. Django offers stronger locks only, with which two people who bring each other into a room would deadlock.
    sql, params = rows.query.sql_with_params()
    with connection().cursor() as cursor:
        cursor.execute(f"{sql} FOR KEY SHARE", params)
        return {str(key) for (key,) in cursor.fetchall()}
