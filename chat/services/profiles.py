"""The chat's own rows of people, and what of the host's user table is copied into them.

A changed name arrives by Django's signal. What bypasses signals (``QuerySet.update``, SQL) is put right by ``repair``.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

from chat.access.policy import policy
from chat.models import Membership, Profile
from chat.models.database import alias
from chat.rendering.name_keys import name_key

PEOPLE_PER_QUERY = 200


def keep(persons: Iterable[Any]) -> None:
    """Make the profiles of these people that do not exist yet. Call it inside the transaction that needs them."""
    wanted = {str(each.pk): each for each in persons}
    rows = Profile.objects.using(alias())
    present = set(rows.filter(pk__in=wanted).values_list("pk", flat=True))
    # In the order of their keys, so that two transactions which make the same profiles cannot deadlock.
    missing = [_profile(wanted[key]) for key in sorted(wanted.keys() - present)]
    rows.bulk_create(missing, ignore_conflicts=True)


def update(person: Any) -> None:
    """Copy what has changed in the host's row of ``person``; nothing happens if they have no profile."""
    fresh = _profile(person)
    rows = Profile.objects.using(alias()).filter(pk=fresh.pk)
    rows.exclude(handle_key=fresh.handle_key).update(handle_key=fresh.handle_key)


def remove(person: Any) -> None:
    """Delete the profile of ``person``, whose account is being deleted."""
    Profile.objects.using(alias()).filter(pk=str(person.pk)).delete()


def repair() -> int:
    """Make the profiles of all members as the host's user table has them; return how many were missing or wrong."""
    members = Membership.objects.using(alias()).filter(left_at__isnull=True, user__isnull=False).values("user")
    rest = get_user_model()._base_manager.using(alias()).filter(pk__in=members).order_by("pk")
    repaired, persons = 0, list(rest[:PEOPLE_PER_QUERY])
    while persons:
        repaired += _repair_some(persons)
        persons = list(rest.filter(pk__gt=persons[-1].pk)[:PEOPLE_PER_QUERY])
    return repaired


def _repair_some(persons: list[Any]) -> int:
    profiles = [_profile(each) for each in persons]
    stored = dict(
        Profile.objects.using(alias()).filter(pk__in=[each.pk for each in profiles]).values_list("pk", "handle_key")
    )
    wrong = [each for each in profiles if stored.get(each.pk) != each.handle_key]
    Profile.objects.using(alias()).bulk_create(
        sorted(wrong, key=lambda each: each.pk),
        update_conflicts=True,
        unique_fields=["user_key"],
        update_fields=["handle_key"],
    )
    return len(wrong)


def _profile(person: Any) -> Profile:
    return Profile(user_key=str(person.pk), handle_key=name_key(policy().handle_of(person) or ""))
