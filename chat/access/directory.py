"""Finding people: those whom policy shows to somebody, and those of a room. By user name and, where a site's user
model has them, first and last name; nothing else is assumed of it."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import DataError
from django.db.models import Case, CharField, Q, QuerySet, TextField, Value, When

from chat.access.lobby import PAGES, bounded, searched
from chat.access.policy import policy
from chat.models import Membership, Room
from chat.wire.protocol import is_storable

PAGE = 50
PICK = 10
"""People on a page with a form around them, so few that its button stays near."""
WORDS = 5
"""How many words of a search count."""
Role = Membership.Role


def people(
    user: Any, *, search: str = "", page: int = 1, size: int | None = None, outside: Room | None = None
) -> tuple[list[Any], bool]:
    """A page of the people whom ``user`` may find, by user name and without ``user``, and whether there are more.

    Args:
        size: People in a page; None: 50.
        outside: Leave out who is in this room.
    """
    rows = policy().people(user).exclude(pk=user.pk)
    if outside is not None:
        rows = rows.exclude(pk__in=Membership.objects.present().filter(room=outside, user__isnull=False).values("user"))
    rows = rows.filter(_called(search)).order_by(get_user_model().USERNAME_FIELD, "pk")
    found, more = _page(rows, page, size or PAGE)
    return [each for each in found if policy().is_welcome(each)], more


def chosen(user: Any, user_ids: list[str]) -> list[Any]:
    """The people named whom ``user`` may find, to show a choice again. Others are left out."""
    wanted = set(user_ids[:PAGE])
    try:
        found = list(policy().people(user).exclude(pk=user.pk).filter(pk__in=wanted)) if wanted else []
    except (ValueError, OverflowError, ValidationError, DataError):  # not even the form of a key
        return []
    return [each for each in found if str(each.pk) in wanted and policy().is_welcome(each)]


def members(room: Room, *, search: str = "", page: int = 1) -> tuple[list[Membership], bool]:
    """A page of the room's present members, owners and moderators first, and whether there are more."""
    rank = Case(When(role=Role.OWNER, then=Value(0)), When(role=Role.MODERATOR, then=Value(1)), default=Value(2))
    rows = Membership.objects.present().filter(room=room).filter(_called(search, "user__")).select_related("user")
    return _page(rows.order_by(rank, "pk"), page, PAGE)


def member(room: Room, user_id: str) -> Membership | None:
    """The present member of ``room`` with this wire id."""
    if not is_storable(user_id):  # else PostgreSQL would refuse to look
        return None
    return Membership.objects.present().filter(room=room, user_key=user_id).select_related("user").first()


def names_beside(user: Any, user_ids: Iterable[str]) -> dict[str, str]:
    """The names of those of the people who are in a room with ``user``, by wire id: also of such as may not
    be found any more, since the rooms' lists of members show them still."""
    mine = Membership.objects.present().of(user).values("room")
    rows = Membership.objects.present().filter(room__in=mine, user__isnull=False).select_related("user")
    beside = rows.filter(user_key__in=[each for each in user_ids if is_storable(each)])
    return {each.user_key: policy().name_of(each.user) for each in beside}


def _page(rows: QuerySet[Any], page: int, size: int) -> tuple[list[Any], bool]:
    start = (bounded(page) - 1) * size
    found = list(rows[start : start + size + 1])
    return found[:size], len(found) > size and page < PAGES


def _called(search: str, path: str = "") -> Q:
    """The condition that a person's names hold each word of ``search``."""
    wanted = Q()
    for word in searched(search).split()[:WORDS]:
        holds = Q(pk__in=[])
        for name in _name_fields():
            holds |= Q(**{f"{path}{name}__icontains": word})
        wanted &= holds
    return wanted


def _name_fields() -> list[str]:
    model = get_user_model()
    return [name for name in (model.USERNAME_FIELD, "first_name", "last_name") if _is_text(model, name)]


def _is_text(model: Any, name: str) -> bool:
    try:
        return isinstance(model._meta.get_field(name), CharField | TextField)
    except FieldDoesNotExist:
        return False
