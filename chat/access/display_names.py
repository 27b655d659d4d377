"""What people are called where the plain name is not enough: direct rooms, which are named after the others in them,
and people whose accounts are gone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from chat.access.policy import policy
from chat.models import Membership
from chat.models.prepared import Prepared

DELETED_ACCOUNT = _("Deleted account")
_others = Prepared(
    lambda room_ids, user_key: (
        Membership.objects.filter(room__in=room_ids).exclude(user_key=user_key).select_related("user").order_by("pk")
    ),
    [int],
    str,
)


@dataclass(frozen=True)
class DirectName:
    """``gone``: how many of the others have no account any more. They stand last in ``text``."""

    text: str
    gone: int = 0


def of_direct_rooms(user: Any, room_ids: Iterable[int]) -> dict[int, DirectName]:
    """The other people of each direct room, as many as it was made for; one's own name where there are none.

    One query. What stands for the people who are gone is in the language in force.
    """
    wanted = list(room_ids)
    if not wanted:
        return {}
    there: dict[int, list[str]] = defaultdict(list)
    gone: dict[int, int] = defaultdict(int)
    for each in _others(wanted, str(user.pk)):
        # People leave a direct room only with their account, which still exists at the moment of its deletion.
        if each.user is None or not each.is_present:
            gone[each.room_id] += 1
        else:
            there[each.room_id].append(policy().name_of(each.user))
    return {room: _named([*there[room], *[str(DELETED_ACCOUNT)] * gone[room]], user, gone[room]) for room in wanted}


def _named(others: list[str], user: Any, gone: int) -> DirectName:
    return DirectName(", ".join(others) or policy().name_of(user), gone)
