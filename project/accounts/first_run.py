"""The first run: the owner's account, the site's name and rooms, who may sign up. Each step happens once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction

from project.accounts import invitations, signup, site
from project.accounts.errors import AlreadySetUp
from project.accounts.models import Invitation, SiteSettings

Stage = SiteSettings.Stage
FIRST_LINK_LASTS = timedelta(weeks=1)
"""The default of the form for later invitations: a link that was passed around must not let people in for ever."""


def stage(settings: SiteSettings | None = None) -> str:
    """The next step. A site whose accounts were made in another way (``make superuser``) counts as set up."""
    if not site.has_accounts():
        return Stage.OWNER
    reached = (settings or site.current()).stage
    return Stage.DONE if reached == Stage.OWNER else Stage(reached)


def make_owner(save: Callable[[], Any]) -> Any:
    """Store the site's first account with ``save``, which gives it all rights, and return it.

    Raises:
        AlreadySetUp: There is an account already; of two simultaneous calls, the second gets this.
    """
    with transaction.atomic():
        settings = site.locked()
        if site.has_accounts():
            raise AlreadySetUp
        owner = save()
        _reach(settings, Stage.ROOMS)
        return owner


def name_site(owner: Any, *, name: str, rooms: list[str]) -> None:
    """Name the site and make its first rooms, which every new account joins.

    Raises:
        AlreadySetUp: This step is done already, or an earlier one is not.
    """
    with transaction.atomic():
        settings = _at(Stage.ROOMS)
        settings.name = name
        settings.first_rooms = [room.pk for room in signup.make_first_rooms(owner, rooms)]
        _reach(settings, Stage.ACCESS, "name", "first_rooms")


def decide_access(owner: Any, *, sign_up: str) -> Invitation | None:
    """Decide who may sign up, which ends the first run. If it is by invitation, return the first one.

    Raises:
        AlreadySetUp: This step is done already, or an earlier one is not.
    """
    with transaction.atomic():
        settings = _at(Stage.ACCESS)
        settings.sign_up = sign_up
        _reach(settings, Stage.DONE, "sign_up")
        by_invitation = sign_up == SiteSettings.SignUp.INVITATION
        return invitations.create(by=owner, lifetime=FIRST_LINK_LASTS) if by_invitation else None


def _at(wanted: str) -> SiteSettings:
    settings = site.locked()
    if settings.stage != wanted:
        raise AlreadySetUp
    return settings


def _reach(settings: SiteSettings, wanted: str, *fields: str) -> None:
    settings.stage = wanted
    settings.save(update_fields=["stage", *fields])
