"""Who may do what. A host replaces ``Policy`` with its own class through ``CHAT["POLICY"]``.

Whatever allows a change is asked inside the transaction of that change, on locked rows. So answers must depend on the
arguments and the database alone. ``membership`` is the person's present membership of the room, or None.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.core.signals import setting_changed
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from chat.conf import conf
from chat.models import Membership, Message, Room
from chat.models.database import alias
from chat.rendering.name_keys import name_key
from chat.rendering.visible_text import is_blank, tidied

_HANDLE = re.compile(r"\w[\w.+-]{0,149}")

User = Any
"""The host's user model: nothing is assumed of it but ``pk``, ``is_active`` and ``get_username()``."""


class Policy:
    """The default: an open room is for everybody who is signed in, other rooms are for their members; roles rule."""

    # People ------------------------------------------------------------------------------------------------------

    def is_welcome(self, user: User) -> bool:
        """Whether ``user`` may use the chat at all."""
        return bool(user is not None and user.is_authenticated and user.is_active)

    def name_of(self, user: User) -> str:
        """The name that others see."""
        full_name = tidied(str((user.get_full_name() if hasattr(user, "get_full_name") else "") or ""))
        # An invisible name is no name: nobody could click on it.
        return str(user.get_username()) if is_blank(full_name) else full_name

    def avatar_of(self, user: User) -> str | None:
        """URL of a square picture, or None."""
        return None

    def people(self, user: User) -> QuerySet[User]:
        """The people whom ``user`` may find, write to and add to rooms: by default those in a room with them.

        This is asked for a page and again inside the transaction of an invitation. The answer may include ``user``.
        """
        if not self.is_welcome(user):
            return get_user_model()._default_manager.none()
        mine = Membership.objects.present().of(user).values("room")
        beside = Membership.objects.present().filter(room__in=mine).values("user")
        return active_people().filter(pk__in=beside)

    def handle_of(self, user: User) -> str | None:
        """What people write after an "@" to mention ``user``; None if ``user`` cannot be mentioned."""
        name = str(user.get_username())
        # A user name that is an e-mail address is no handle: it is private.
        return name if _HANDLE.fullmatch(name) else None

    def mentioned(self, room: Room, names: Iterable[str]) -> dict[str, str]:
        """The present members of ``room`` whose handles are ``names``, as {name: user id}. One query.

        A handle in another spelling counts if it has the same key (``rendering.name_keys``). Of two members with the
        same key, the one whose handle is spelt exactly like that is meant, else the earlier one.
        """
        spelt = {name: name_key(name) for name in names}
        found = Membership.objects.present().called(set(spelt.values())).filter(room=room, user__in=active_people())
        earliest: dict[str, str] = {}
        exact: dict[str, str] = {}
        for each in found.select_related("user").order_by("joined_seq"):
            # From the user table: a profile may lag behind it, and must not name somebody who has another name now.
            handle = self.handle_of(each.user) or ""
            earliest.setdefault(name_key(handle), each.user_key)
            exact.setdefault(handle, each.user_key)
        named = {name: exact.get(name) or earliest.get(key) for name, key in spelt.items()}
        return {name: user_id for name, user_id in named.items() if user_id}

    # Rooms -------------------------------------------------------------------------------------------------------

    def can_create_room(self, user: User, kind: str) -> bool:
        return self.is_welcome(user)

    def can_see(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether the room exists at all for ``user``."""
        return self.is_welcome(user) and (membership is not None or room.is_open)

    def can_watch(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user`` may read the room, its history included, and follow it live, if they may see it."""
        return self.can_see(user, room, membership)

    def can_see_presence(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user``, who may watch the room, may see which of its members are connected, and how many."""
        return membership is not None

    def can_join(self, user: User, room: Room) -> bool:
        return self.is_welcome(user) and room.is_open and not room.archived

    def can_post(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user`` may write and react: by default members may, unless nobody else is left in a direct room.

        Whether the room is archived is checked separately.
        """
        return self.is_welcome(user) and membership is not None and not room.is_deserted_for(membership.user_key)

    def can_manage(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user`` may rename the room, archive it, and make it private."""
        return self.can_moderate(user, room, membership) and not room.is_direct

    def can_open(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user``, who may manage the private room, may also open it, with its whole history, to everybody."""
        return self.can_own(user, room, membership)

    def can_moderate(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user`` may remove other people's messages, and add and remove plain members."""
        return (
            self.is_welcome(user)
            and membership is not None
            and membership.role in (Membership.Role.OWNER, Membership.Role.MODERATOR)
        )

    def can_own(self, user: User, room: Room, membership: Membership | None) -> bool:
        """Whether ``user`` may give and take roles, and remove moderators and owners."""
        return self.is_welcome(user) and membership is not None and membership.role == Membership.Role.OWNER

    def can_administer(self, user: User, room: Room | None) -> bool:
        """Whether ``user`` acts for the site in the room, or with ``None`` in making rooms that nobody owns.

        Then they may change an archived room, remove its last owner, import into it and delete it. By default only
        the site's own code does, which is never asked.
        """
        return False

    # Tokens ------------------------------------------------------------------------------------------------------

    def can_manage_tokens(self, user: User, owner: User) -> bool:
        """Whether ``user`` may make and revoke the bearer tokens that stand for ``owner``."""
        return self.is_welcome(user) and bool(user.pk == owner.pk)

    def token_obstacle(self, owner: User) -> str:
        """Why nobody may make a new token that stands for ``owner``, as a sentence for people; "" if they may."""
        return ""

    # Messages ----------------------------------------------------------------------------------------------------

    def can_edit(self, user: User, room: Room, membership: Membership | None, message: Message) -> bool:
        # A host may give a deleted person's key to somebody else: messages without an author are nobody's.
        is_author = message.author_id is not None and message.user_key == str(user.pk)
        return is_author and self.can_post(user, room, membership)

    def can_delete(self, user: User, room: Room, membership: Membership | None, message: Message) -> bool:
        return self.can_edit(user, room, membership, message) or self.can_moderate(user, room, membership)


def active_people() -> QuerySet[User]:
    """Everybody with an active account; in a user model without ``is_active``, everybody."""
    model = get_user_model()
    people: QuerySet[User] = model._default_manager.all()
    try:
        model._meta.get_field("is_active")
    except FieldDoesNotExist:  # in AbstractBaseUser it is a plain attribute
        return people
    return people.filter(is_active=True)


class Site:
    """The site itself as the one who acts: the host's own code, its admin, an operator at a shell."""

    pk = None

    def __repr__(self) -> str:
        return "SITE"

    def __reduce__(self) -> str:
        return "SITE"  # a copy, or what comes out of a task queue's pickle, is the same one


SITE: Final = Site()
"""What services take as ``by`` where no person acts. No policy binds the site, so ``tests/services/test_authority.py``
lists every place that passes it."""


class _Unbound(Policy):
    """What binds ``SITE``: nothing but the rules that hold for everybody, such as that a direct room's people stay."""

    def is_welcome(self, user: User) -> bool:
        return True

    def people(self, user: User) -> QuerySet[User]:
        return get_user_model()._base_manager.using(alias()).all()

    def can_create_room(self, user: User, kind: str) -> bool:
        return True

    def can_see(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_watch(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_see_presence(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_manage(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_open(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_moderate(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_own(self, user: User, room: Room, membership: Membership | None) -> bool:
        return True

    def can_administer(self, user: User, room: Room | None) -> bool:
        return True

    def can_manage_tokens(self, user: User, owner: User) -> bool:
        return True

    def can_edit(self, user: User, room: Room, membership: Membership | None, message: Message) -> bool:
        return True

    def can_delete(self, user: User, room: Room, membership: Membership | None, message: Message) -> bool:
        return True


_unbound = _Unbound()


def rules_for(by: User | Site) -> Policy:
    """What binds the one who acts: the policy in force, and nothing for ``SITE``."""
    return _unbound if by is SITE else policy()


def person_of(by: User | Site) -> User | None:
    """The person who acts, to be named in rows and events; None for ``SITE``."""
    return None if by is SITE else by


@cache
def policy() -> Policy:
    """The policy in force."""
    return import_string(conf.policy)()  # type: ignore[no-any-return]


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "CHAT":
        policy.cache_clear()


setting_changed.connect(_forget)
