"""People as rows of the pages' lists: to tick, to write to, to remove."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chat.access.display_names import DELETED_ACCOUNT
from chat.access.lobby import SEARCH_CHARS
from chat.access.policy import policy
from chat.models import Membership
from chat.web.timeline_rows import colour_of, initials_of


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    handle: str
    """What people write after an "@" to mention the person; "" if they cannot be mentioned."""
    avatar: str | None
    initials: str
    colour: int
    is_chosen: bool = False


@dataclass(frozen=True)
class MemberRow:
    """A member, with what the viewer may do about them."""

    person: Person
    role: str
    role_name: str
    is_self: bool
    may_remove: bool
    may_change_role: bool


def person(user: Any, *, is_chosen: bool = False) -> Person:
    rules = policy()
    key, name = str(user.pk), rules.name_of(user)
    handle = rules.handle_of(user) or ""
    return Person(key, name, handle, rules.avatar_of(user), initials_of(name), colour_of(key), is_chosen)


@dataclass(frozen=True)
class Picker:
    """A list of people to tick: those ticked before, then a page of what a search found (chat/_person_picker.html)."""

    people: list[Person]
    search: str
    previous_page: int
    """0 if there is none."""
    next_page: int


def picker(found: Iterable[Any], chosen: Iterable[Any], *, search: str, page: int, more: bool) -> Picker:
    ticked = {each.pk: person(each, is_chosen=True) for each in chosen}
    people = [*ticked.values(), *(person(each) for each in found if each.pk not in ticked)]
    return Picker(people, search[:SEARCH_CHARS], page - 1, page + 1 if more else 0)


def member_row(membership: Membership, *, viewer: Any, may_moderate: bool, may_own: bool) -> MemberRow:
    is_self = membership.user_key == str(viewer.pk)
    return MemberRow(
        person=person(membership.user) if membership.user is not None else _departed(membership),
        role=membership.role,
        role_name=membership.get_role_display(),
        is_self=is_self,
        may_remove=not is_self and (may_own or (may_moderate and membership.role == Membership.Role.MEMBER)),
        may_change_role=may_own,
    )


def _departed(membership: Membership) -> Person:
    """A person whose account is gone."""
    key = membership.user_key
    return Person(key, str(DELETED_ACCOUNT), "", None, initials_of(""), colour_of(key))
