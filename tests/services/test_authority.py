"""One authority: services ask the look-up and the policy, which alone know what ``SITE`` may skip."""

import ast
import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.access.policy import SITE, Policy, person_of, policy, rules_for
from chat.models import Membership, Message, Room, Token
from chat.services import importing, memberships, messages, room_deletion, rooms, tokens
from chat.wire.errors import (
    ChatError,
    LastOwner,
    MessageForbidden,
    RoomArchived,
    RoomForbidden,
    RoomNotFound,
    UserNotFound,
)
from tests.cast import events_in, fresh, published, said

ROOT = Path(__file__).resolve().parents[2]
TRUSTED = {
    ("chat/admin/memberships.py", "delete_model"),
    ("chat/admin/memberships.py", "save_model"),
    ("chat/admin/messages.py", "delete_model"),
    ("chat/admin/messages.py", "save_model"),
    ("chat/admin/rooms.py", "_set_archived"),
    ("chat/admin/rooms.py", "delete_model"),
    ("chat/admin/rooms.py", "save_model"),
    ("chat/admin/rooms.py", "save_related"),
    ("chat/admin/tokens.py", "delete_model"),
    ("chat/admin/tokens.py", "revoke"),
    ("chat/admin/tokens.py", "save_model"),
    ("chat/api.py", "add_member"),
    ("chat/api.py", "archive_room"),
    ("chat/api.py", "create_room"),
    ("chat/api.py", "delete_room"),
    ("chat/api.py", "import_messages"),
    ("chat/api.py", "open_direct"),
    ("chat/api.py", "remove_member"),
    ("chat/api.py", "revoke_tokens"),
    ("chat/api.py", "room_for"),
    ("chat/api.py", "update_room"),
    ("chat/management/commands/chat_token.py", "_handle"),
    ("project/demo/team.py", "_fill"),
    ("project/demo/team.py", "remove"),
}
"""Every place that acts for the site. A new one is a decision: its code has made sure itself that this may be done."""


def uses(file: Path) -> Iterator[tuple[str, str]]:
    """The functions of a file that name ``SITE``, with the file's path."""

    def walk(node: ast.AST, function: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk(child, child.name)
            elif isinstance(child, ast.Name) and child.id == "SITE":
                yield function
            else:
                yield from walk(child, function)

    for function in set(walk(ast.parse(file.read_text()), "")):
        yield file.relative_to(ROOT).as_posix(), function


def test_every_place_that_assumes_trust_is_listed() -> None:
    files = [file for top in ("chat", "project") for file in (ROOT / top).rglob("*.py")]
    found = {use for file in files for use in uses(file) if use[0] != "chat/access/policy.py"}
    assert found == TRUSTED


def test_no_service_asks_who_acts() -> None:
    for file in (ROOT / "chat" / "services").glob("*.py"):
        assert "SITE" not in file.read_text().replace("``SITE``", ""), file.name


def test_no_policy_binds_the_site_and_the_policy_in_force_binds_everybody_else(ana: Any) -> None:
    assert rules_for(ana) is policy()
    allowed = [name for name in vars(Policy) if name.startswith("can_")]
    own = {name for name in allowed if getattr(type(rules_for(SITE)), name) is not getattr(Policy, name)}
    assert own == set(allowed) - {"can_join", "can_post"}, "the site itself neither joins nor writes"
    assert (person_of(ana), person_of(SITE)) == (ana, None)


def test_a_copy_of_the_site_is_the_site() -> None:
    assert copy.deepcopy(SITE) is SITE
    assert pickle.loads(pickle.dumps(SITE)) is SITE


Act = Callable[[Any, Room, Message], Any]
ACTS: dict[str, Act] = {
    "edit": lambda by, room, message: messages.edit(by=by, message_id=message.pk, body="new"),
    "delete": lambda by, room, message: messages.delete(by=by, message_id=message.pk),
    "update": lambda by, room, message: rooms.update(by=by, room_id=room.pk, topic="News"),
    "add": lambda by, room, message: memberships.add(by=by, room_id=room.pk, user_id=str(room.created_by_id)),
    "remove": lambda by, room, message: memberships.remove(by=by, room_id=room.pk, user_id=str(room.created_by_id)),
    "change a role": lambda by, room, message: memberships.change_role(
        by=by, room_id=room.pk, user_id=str(room.created_by_id), role="owner"
    ),
    "import": lambda by, room, message: importing.import_messages(by=by, room_id=room.pk, messages=[past(message)]),
    "delete the room": lambda by, room, message: room_deletion.delete(by=by, room_id=room.pk),
}


def past(message: Message) -> importing.PastMessage:
    return importing.PastMessage(
        client_id=message.client_id, author=message.author, body="old", created_at=message.created_at
    )


@pytest.mark.parametrize("act", ACTS)
def test_the_site_may_do_more_than_an_outsider(ana: Any, eve: Any, staff: Room, act: str) -> None:
    message = said(ana, staff)
    with pytest.raises(ChatError) as refused:
        ACTS[act](eve, staff, message)
    assert refused.value.code in ("room.not_found", "message.not_found"), "to somebody outside it is not there"
    ACTS[act](SITE, staff, message)


@pytest.mark.parametrize("act", ["import", "delete the room"])
def test_an_owner_may_not_do_what_is_reserved_for_the_site(ana: Any, staff: Room, act: str) -> None:
    message = said(ana, staff)
    with pytest.raises(RoomForbidden):
        ACTS[act](ana, staff, message)


@pytest.mark.parametrize("act", ["edit", "delete", "update", "add"])
def test_an_archived_room_is_closed_to_its_owner_and_not_to_the_site(
    ana: Any, cleo: Any, staff: Room, act: str
) -> None:
    message = said(ana, staff)
    rooms.update(by=ana, room_id=staff.pk, archived=True)
    with pytest.raises(RoomArchived):
        ACTS[act](ana, staff, message)
    ACTS[act](SITE, staff, message)


def test_the_last_owner_can_be_removed_by_the_site_alone_and_is_succeeded(ana: Any, ben: Any, staff: Room) -> None:
    with pytest.raises(LastOwner):
        memberships.remove(by=ana, room_id=staff.pk, user_id=str(ana.pk))
    memberships.remove(by=SITE, room_id=staff.pk, user_id=str(ana.pk))
    assert Membership.objects.get(room=staff, user=ben).role == "owner"


def test_events_name_the_person_who_acted_and_nobody_for_the_site(ana: Any, cleo: Any, eve: Any, staff: Room) -> None:
    with published() as hints:
        memberships.add(by=ana, room_id=staff.pk, user_id=str(cleo.pk))
        memberships.add(by=SITE, room_id=staff.pk, user_id=str(eve.pk))
    first, second = events_in(hints, staff)
    assert first.by.id == str(ana.pk)
    assert not second.by
    assert [each.moved_by for each in Membership.objects.filter(room=staff, user__in=[cleo, eve]).order_by("pk")] == [
        ana,
        None,
    ]


def test_rooms_that_nobody_owns_are_made_by_the_site_alone(ana: Any, ben: Any) -> None:
    with pytest.raises(RoomForbidden):
        rooms.room_for(ben, by=ana)
    assert rooms.room_for(ben, by=SITE).member_count == 0


def test_the_site_brings_people_into_a_room_whom_its_maker_cannot_find(ana: Any, eve: Any, settings: Any) -> None:
    settings.CHAT = {**settings.CHAT, "POLICY": "chat.access.policy.Policy"}
    with pytest.raises(UserNotFound):
        rooms.create(by=ana, name="Hall", user_ids=[str(eve.pk)])
    made = rooms.create(by=ana, name="Hall", user_ids=[str(eve.pk)], invited_by=SITE)
    assert fresh(made).member_count == 2


def test_a_persons_tokens_are_theirs_and_the_sites(ana: Any, ben: Any) -> None:
    tokens.issue(by=SITE, user=ana)
    token = Token.objects.get()
    for act in (
        lambda: tokens.issue(by=ben, user=ana),
        lambda: tokens.revoke(by=ben, user=ana, token_id=token.pk),
        lambda: tokens.revoke_all(by=ben, user=ana),
        lambda: tokens.delete(by=ben, user=ana, token_id=token.pk),
    ):
        with pytest.raises(UserNotFound):
            act()
    assert not tokens.revoke(by=ben, user=ben, token_id=token.pk), "it is not his"
    assert tokens.revoke(by=SITE, user=ana, token_id=token.pk)


class Clerk(Policy):
    """A host's policy that lets one person act for the site."""

    def can_see(self, user: Any, room: Room, membership: Membership | None) -> bool:
        return True

    def can_delete(self, user: Any, room: Room, membership: Membership | None, message: Message) -> bool:
        return user.get_username() == "eve"

    def can_administer(self, user: Any, room: Room | None) -> bool:
        return bool(user.get_username() == "eve")


def test_a_hosts_policy_can_let_people_act_for_the_site(ana: Any, eve: Any, staff: Room, settings: Any) -> None:
    message = said(ana, staff)
    rooms.update(by=SITE, room_id=staff.pk, archived=True)
    settings.CHAT = {**settings.CHAT, "POLICY": f"{__name__}.Clerk"}
    with pytest.raises(MessageForbidden):
        messages.delete(by=ana, message_id=message.pk)
    messages.delete(by=eve, message_id=message.pk)
    room_deletion.delete(by=eve, room_id=staff.pk)
    with pytest.raises(RoomNotFound):
        room_deletion.delete(by=eve, room_id=staff.pk)
