"""Making and ending accounts. Whether somebody may sign up is checked in the transaction that makes the account."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from chat import api
from chat.models import Room
from chat.services import memberships
from chat.wire.errors import ChatError
from project.accounts import invitations, site
from project.accounts.errors import InvitationNotValid, LastOwner, NameTaken, SignUpClosed
from project.accounts.models import SiteSettings

logger = logging.getLogger(__name__)
T = TypeVar("T")


def is_open(code: str) -> bool:
    """Whether somebody who holds ``code`` (or none) may sign up now. Asked again by ``make_account``."""
    settings = site.current()
    if settings.sign_up == SiteSettings.SignUp.OPEN:
        return True
    try:
        invitations.find(code, settings)
    except InvitationNotValid:
        return False
    return True


def make_account(save: Callable[[], Any], *, code: str = "") -> Any:
    """The account that ``save`` stores, its invitation used, and it in the site's first rooms: all or nothing.

    Raises:
        SignUpClosed: The site takes nobody, or nobody without an invitation.
        InvitationNotValid: There was one, and it is void.
        NameTaken: Somebody else got the user name in this moment.
    """
    with transaction.atomic():
        settings = site.locked()
        _admit(settings, code)
        try:
            with transaction.atomic():
                user = save()
        except IntegrityError:
            raise NameTaken from None
        for room_id in settings.first_rooms:
            _enter(user, room_id)
        return user


def _admit(settings: SiteSettings, code: str) -> None:
    # An open site counts a valid invitation too, and lets a void one pass.
    if settings.sign_up == SiteSettings.SignUp.OPEN:
        try:
            invitations.redeem(code, settings)
        except InvitationNotValid:
            return
    elif settings.sign_up == SiteSettings.SignUp.CLOSED or not code:
        raise SignUpClosed
    else:
        invitations.redeem(code, settings)


def _enter(user: Any, room_id: Any) -> None:
    """A first room that was archived, made private or removed since is no reason to turn somebody away."""
    try:
        memberships.join(by=user, room_id=int(room_id))
    except ChatError as error:
        logger.warning("A new account could not join room %s: %s", room_id, error)


def delete_account(user: Any) -> None:
    """End an account. Its messages stay without an author; its memberships end, and its sockets close.

    Raises:
        LastOwner: Nobody else could manage the site, and somebody else is on it.
    """
    people = get_user_model()._default_manager
    with transaction.atomic():
        site.locked()  # two owners who go at the same time take turns
        # Not locked: a post holds its room and waits for its author's row, and here rooms come before the row goes.
        row = people.get(pk=user.pk)
        others = people.exclude(pk=row.pk).filter(is_active=True)
        if row.is_superuser and others.exists() and not others.filter(is_superuser=True).exists():
            raise LastOwner
        row.delete()


def make_first_rooms(owner: Any, names: list[str]) -> list[Room]:
    """Open rooms of ``owner``, one for each name."""
    return [api.create_room(name, owner, kind="open") for name in names]
