"""Put the demo's team into the database, and remove it again.

A later run finds people by their group and address, rooms by their creator and ``client_id``, and messages by their
``client_id``. So it adds nothing twice, and does not touch accounts and rooms that only
have the same name.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.db import transaction

from chat.access.policy import SITE, policy
from chat.models import Membership, Message, Room
from chat.services import importing, memberships, read_pointers, room_deletion, rooms
from chat.wire.errors import RoomNotFound
from project.accounts import first_run, site
from project.accounts.models import SiteSettings
from project.demo import scripts, timeline
from project.demo.scripts import RoomScript
from project.demo.timeline import Said

GROUP = "Demo team (made by make demo)"
DOMAIN = "larder.invalid"  # a reserved domain: mail to it reaches nobody
OWNER = ("alex", "Alex Morgan")
NEWCOMERS = 5
"""How many superusers, at most, are added to the demo's rooms."""


class NoOwner(Exception):
    """The site has accounts, but no active superuser."""


@dataclass(frozen=True)
class Filled:
    """The result for one room: its name, and how many messages were ``stored``."""

    name: str
    stored: int


def owners() -> tuple[list[User], str]:
    """Return the superusers who get to see the demo, and a password.

    On a site without accounts an owner is made, and the password is theirs. Otherwise it is "".

    Raises:
        NoOwner: There are accounts, but no active superuser.
    """
    with transaction.atomic():
        found = list(User.objects.filter(is_superuser=True, is_active=True).order_by("pk")[:NEWCOMERS])
        if found:
            return found, ""
        if site.has_accounts():
            raise NoOwner
        password = secrets.token_urlsafe(9)
        owner = first_run.make_owner(lambda: _person(*OWNER, password=password, is_staff=True, is_superuser=True))
        # Skip the rest of the first run: the demo makes the rooms, and nobody else needs an account.
        first_run.name_site(owner, name="", rooms=[])
        first_run.decide_access(owner, sign_up=SiteSettings.SignUp.CLOSED)
        return [owner], password


def people() -> dict[str, User]:
    """Return the team by their names in the scripts. Missing accounts are made, without a password."""
    with transaction.atomic():
        known = {each.email: each for each in _group().user_set.all()}
        team = {}
        for name, about in scripts.people().items():
            found = known.get(f"{name}@{DOMAIN}")
            team[name] = found or _person(name, about["name"], is_active=not about.get("left"))
        return team


def fill(team: dict[str, User], newcomers: list[User], *, now: datetime, scale: str, seed: int) -> Iterator[Filled]:
    """Make the missing rooms with their messages, one after the other and in short transactions."""
    for script in scripts.rooms():
        yield _fill(script, team, newcomers, timeline.messages(script, now=now, scale=scale, seed=seed))


def remove() -> Iterator[str]:
    """Remove the demo's rooms with all messages, then the team, and yield a text for each.

    The team's messages in other rooms stay, without an author. The owner that the demo made on an empty site is removed
    too, unless the site has other accounts and would be left without an owner.
    """
    team = list(_group().user_set.all())
    made = Room.objects.filter(created_by__in=team, client_id__in=[_room_key(each) for each in scripts.rooms()])
    direct = Room.objects.filter(
        kind=Room.Kind.DIRECT, memberships__user__in=[each for each in team if not _owns(each)]
    )
    for pk, name in {each.pk: each.name or "a direct room" for each in (*made, *direct)}.items():
        with suppress(RoomNotFound):
            room_deletion.delete(by=SITE, room_id=pk)
            yield name
    for person in team:
        others = User.objects.exclude(pk__in=[each.pk for each in team])
        if _owns(person) and others.exists() and not others.filter(is_superuser=True, is_active=True).exists():
            yield f"{person.get_username()} stays: the site has no other owner"
            person.groups.clear()
            continue
        yield person.get_full_name()
        person.delete()
    Group.objects.filter(name=GROUP).delete()


def _owns(person: User) -> bool:
    return person.is_superuser


def _group() -> Group:
    return Group.objects.get_or_create(name=GROUP)[0]


def _person(name: str, full_name: str, *, password: str | None = None, **rights: bool) -> User:
    """Make an account of the demo. If its plain user name is taken, it gets another."""
    manager = get_user_model()._default_manager
    free = (each for each in _names(name) if not manager.filter(username__iexact=each).exists())
    person: User = User.objects.create_user(next(free), f"{name}@{DOMAIN}", password, first_name=full_name, **rights)
    person.groups.add(_group())
    return person


def _names(name: str) -> Iterator[str]:
    yield name
    yield f"{name}.demo"
    while True:
        yield f"{name}.{secrets.token_hex(3)}"


def _room_key(script: RoomScript) -> Any:
    return timeline.key("room", script.key)


def _fill(script: RoomScript, team: dict[str, User], newcomers: list[User], said: list[Said]) -> Filled:
    invited = newcomers if script.has("invite", "yes") else []
    members = [team[each] for each in script.people]
    if not script.is_direct:
        room = rooms.create(
            by=members[0],
            name=script.head["name"],
            kind=script.head["kind"],
            topic=script.head["topic"],
            client_id=_room_key(script),
            user_ids=[str(each.pk) for each in members],
            invited_by=SITE,
        )
    else:
        invited = newcomers[:1] if script.head.get("with") == "you" else []
        others = [*members[1:], *invited]
        room = rooms.open_direct(by=members[0], user_ids=[str(each.pk) for each in others])
    stored = 0
    if not said or not Message.objects.filter(room=room, client_id=said[-1].client_id).exists():
        fresh = [each for each in invited if not Membership.objects.of(each).filter(room=room).exists()]
        for each in fresh:
            memberships.add(by=SITE, room_id=room.pk, user_id=str(each.pk))
        past = [_past(each, team, newcomers[0]) for each in said]
        stored = importing.import_messages(by=SITE, room_id=room.pk, messages=past).stored
        _read_up_to(room, script, members, invited)
        if script.has("archived"):
            rooms.update(by=SITE, room_id=room.pk, archived=True)
    return Filled(script.head.get("name") or " · ".join(each.first_name for each in members), stored)


def _read_up_to(room: Room, script: RoomScript, members: list[User], invited: list[User]) -> None:
    """Mark everything as read for the team, and all but the last ``script.unread`` messages for the newcomers."""
    room.refresh_from_db()
    for each in members:
        read_pointers.move(by=each, room_id=room.pk, number=room.last_number)
    for each in invited:
        read_pointers.move(by=each, room_id=room.pk, number=max(0, room.last_number - script.unread))


def _past(said: Said, team: dict[str, User], newcomer: User) -> importing.PastMessage:
    handle = policy().handle_of(newcomer)
    text = re.sub(r"@\{you\}", f"@{handle}" if handle else newcomer.get_full_name(), said.text)
    text = text.replace("{you}", f"@{handle}" if handle else newcomer.get_full_name() or "you")
    text = re.sub(r"@([a-z]+)\b", lambda at: f"@{team[at[1]].get_username()}" if at[1] in team else at[0], text)
    return importing.PastMessage(
        client_id=said.client_id,
        author=team[said.author],
        body=text,
        created_at=said.at,
        reply_to=said.to,
        edited_at=said.edited_at,
        deleted_at=said.deleted_at,
        reactions=[(emoji, team[who]) for emoji, who in said.reactions],
    )
