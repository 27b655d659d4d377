"""The chat's own rows of people, with copies of what the chat needs indexed from the host's user table.

Django's signals keep them right. What bypasses signals (``QuerySet.update``, SQL, a process of a version that had no
profiles) is put right by ``repair``; ``fill`` does so where a profile is missing.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, QuerySet

from chat.access.policy import policy
from chat.models import Membership, Profile
from chat.models.database import alias, connection, on_commit, write
from chat.rendering.name_keys import name_key

PEOPLE_PER_QUERY = 200


def keep(persons: Iterable[Any]) -> None:
    """Make the profiles of these people, or put them right. Call it inside the transaction that needs them.

    Their rows are read from the database: an object may be as old as the socket that holds it.
    """
    keys = [each.pk for each in persons]
    if _repair_some(list(_accounts().filter(pk__in=keys))):
        # Somebody may be changing a name at this moment, and not see the new profile. Of two transactions, the one that
        # commits last finds what both have done.
        on_commit(lambda: _repair_locked(keys))


def update(person: Any) -> None:
    """Copy what the database now says of ``person``; does nothing for people who have never been in a room."""
    _update(person.pk)
    on_commit(lambda: _update(person.pk))  # see ``keep``


def _update(pk: Any) -> None:
    is_needed = Profile.objects.using(alias()).filter(pk=str(pk)) or _present_members().filter(user_key=str(pk))
    if is_needed.exists():
        _repair_locked([pk])


def remove(person: Any) -> None:
    """Delete the profile of ``person``, whose account is being deleted."""
    Profile.objects.using(alias()).filter(pk=str(person.pk)).delete()


def fill() -> int:
    """Make the profiles of all members if one of them has none, and return how many were missing or wrong."""
    without = _present_members().exclude(Exists(Profile.objects.filter(pk=OuterRef("user_key"))))
    return repair() if without.exists() else 0


def repair() -> int:
    """Make the profiles of all members as the host's user table has them; return how many were missing or wrong."""
    rest = _accounts().filter(pk__in=_present_members().values("user")).values_list("pk", flat=True)
    repaired, keys = 0, list(rest[:PEOPLE_PER_QUERY])
    while keys:
        repaired += _repair_locked(keys)
        keys = list(rest.filter(pk__gt=keys[-1])[:PEOPLE_PER_QUERY])
    return repaired


def _repair_locked(keys: list[Any]) -> int:
    """Put right the profiles of these people, whose accounts neither change nor go meanwhile."""
    with write():
        no_key = connection().features.has_select_for_no_key_update
        return _repair_some(list(_accounts().filter(pk__in=keys).select_for_update(no_key=no_key)))


def _accounts() -> QuerySet[Any]:
    accounts: QuerySet[Any] = get_user_model()._base_manager.using(alias()).order_by("pk")
    return accounts


def _present_members() -> QuerySet[Membership]:
    return Membership.objects.using(alias()).filter(left_at__isnull=True, user__isnull=False)


def _repair_some(persons: list[Any]) -> int:
    profiles = [_profile(each) for each in persons]
    rows = Profile.objects.using(alias())
    stored = dict(rows.filter(pk__in=[each.pk for each in profiles]).values_list("pk", "handle_key"))
    wrong = [each for each in profiles if stored.get(each.pk) != each.handle_key]
    rows.bulk_create(
        # In one order everywhere, so that transactions with the same people seldom deadlock. The writer runs one that
        # does once more.
        sorted(wrong, key=lambda each: each.pk),
        update_conflicts=True,
        unique_fields=["user_key"],
        update_fields=["handle_key"],
    )
    return len(wrong)


def _profile(person: Any) -> Profile:
    return Profile(user_key=str(person.pk), handle_key=name_key(policy().handle_of(person) or ""))
