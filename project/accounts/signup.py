"""Make and delete accounts. Whether somebody may sign up is checked in the transaction that makes the account."""

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
    """Whether somebody with ``code`` (which may be empty) may sign up now. ``make_account`` checks again."""
    settings = site.current()
    if settings.sign_up == SiteSettings.SignUp.OPEN:
        return True
    try:
        invitations.find(code, settings)
    except InvitationNotValid:
        return False
    return True


def make_account(save: Callable[[], Any], *, code: str = "") -> Any:
    """Store an account with ``save``, use its invitation and bring it into the site's first rooms: all or nothing.

    Raises:
        SignUpClosed: Nobody can sign up, or nobody without an invitation.
        InvitationNotValid: The invitation is void.
        NameTaken: Somebody else has just taken the user name.
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
    # An open site counts the use of a valid invitation, and ignores a void one.
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
    """Join a first room. If it has since been archived, made private or removed, the sign-up still succeeds."""
    try:
        memberships.join(by=user, room_id=int(room_id))
    except ChatError as error:
        logger.warning("A new account could not join room %s: %s", room_id, error)


def delete_account(user: Any) -> None:
    """Delete an account. Its messages stay without an author, its memberships end, and its sockets close.

    Raises:
        LastOwner: Other people are on the site, and none of them could manage it.
    """
    people = get_user_model()._default_manager
    with transaction.atomic():
        site.locked()  # two owners who leave at the same time take turns
        # Do not lock this row: delete() locks the person's rooms first, and a post that holds a room may wait for its
        # author's row. The two would deadlock.
        row = people.get(pk=user.pk)
        others = people.exclude(pk=row.pk).filter(is_active=True)
        if row.is_superuser and others.exists() and not others.filter(is_superuser=True).exists():
            raise LastOwner
        row.delete()


def make_first_rooms(owner: Any, names: list[str]) -> list[Room]:
    """Create an open room of ``owner`` for each name."""
    return [api.create_room(name, owner, kind="open") for name in names]
