"""Whatever people do to a room, its log has no hole, and every way to its present state leads to the same one."""

from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import msgspec.structs
import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chat.access import changes, reads
from chat.models import Membership, Message, Room
from chat.services import memberships, messages, reactions, read_pointers, rooms
from chat.wire.errors import ChatError, ClientIdConflict
from tests.cast import events_in, fresh, person, published
from tests.services.log import State, catch_up, check_log, fresh_state, repair

PEOPLE = ("ana", "ben", "cleo", "dan")
WORDS = ("hello", "**bold**", "@ben look", "ünïcödé 🎉", "x" * 300)
EMOJI = ("👍", "❤️", "🎉")
ROLES = ("owner", "moderator", "member")
people = st.sampled_from(PEOPLE)
picks = st.integers(0, 10_000)


class Talk(RuleBasedStateMachine):
    """People do what they like to an open room. One client follows live, one comes back now and then, one process
    misses every hint; and ``rooms_version`` of nobody falls."""

    @initialize()
    def open_the_room(self) -> None:
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.cast: dict[str, Any] = {name: person(name) for name in PEOPLE}
        self.watcher = person("watcher")
        self.room = rooms.create(by=self.cast["ana"], name="Lobby")
        self.posted: dict[UUID, tuple[str, str, Any]] = {}
        self.versions: dict[str, int] = {}
        self.is_owned = True
        self.live = fresh_state(self.watcher, self.room)
        self.absent = fresh_state(self.watcher, self.room)
        self.deaf = fresh_state(self.watcher, self.room)

    def teardown(self) -> None:
        if hasattr(self, "_transaction"):
            transaction.set_rollback(True)
            self._transaction.__exit__(None, None, None)

    def act(self, work: Any, **options: Any) -> Any:
        """Do it, and let the live client hear of it; None if it was refused, which then must not have left a trace."""
        before = fresh(self.room).head
        with published() as hints:
            try:
                result = work(**options)
            except ChatError:
                result = None
        told = events_in(hints, self.room)
        assert result is not None or not told or work is not messages.post
        assert fresh(self.room).head == before + len(told), "each seq is told, once"
        for event in told:
            self.live.put_event(event)
        return result

    def message(self, pick: int) -> Message | None:
        count = fresh(self.room).last_number
        return Message.objects.get(room=self.room, number=pick % count + 1) if count else None

    # What people do ------------------------------------------------------------------------------------------------

    @rule(who=people, body=st.sampled_from(WORDS), reply=picks, is_reply=st.booleans())
    def post(self, who: str, body: str, reply: int, is_reply: bool) -> None:
        client_id = uuid4()
        to = self.message(reply) if is_reply else None
        result = self.act(
            messages.post,
            by=self.cast[who],
            room_id=self.room.pk,
            body=body,
            client_id=client_id,
            reply_to=to.pk if to else None,
        )
        if result is not None:
            assert not result.duplicate
            self.posted[client_id] = (who, body, result)

    @rule(pick=picks)
    def repeat(self, pick: int) -> None:
        if self.posted:
            client_id = list(self.posted)[pick % len(self.posted)]
            who, body, first = self.posted[client_id]
            again = self.act(messages.post, by=self.cast[who], room_id=self.room.pk, body=body, client_id=client_id)
            assert again.duplicate
            assert (again.id, again.number, again.seq) == (first.id, first.number, first.seq)
            with pytest.raises(ClientIdConflict):
                messages.post(by=self.cast[who], room_id=self.room.pk, body=body + "!", client_id=client_id)

    @rule(who=people, pick=picks, body=st.sampled_from(WORDS))
    def edit(self, who: str, pick: int, body: str) -> None:
        if message := self.message(pick):
            self.act(messages.edit, by=self.cast[who], message_id=message.pk, body=body)

    @rule(who=people, pick=picks)
    def delete(self, who: str, pick: int) -> None:
        if message := self.message(pick):
            self.act(messages.delete, by=self.cast[who], message_id=message.pk)

    @rule(who=people, pick=picks, emoji=st.sampled_from(EMOJI), away=st.booleans())
    def react(self, who: str, pick: int, emoji: str, away: bool) -> None:
        if message := self.message(pick):
            work = reactions.remove if away else reactions.add
            self.act(work, by=self.cast[who], message_id=message.pk, emoji=emoji)

    @rule(who=people)
    def join(self, who: str) -> None:
        self.act(memberships.join, by=self.cast[who], room_id=self.room.pk)

    @rule(who=people)
    def leave(self, who: str) -> None:
        self.act(memberships.leave, by=self.cast[who], room_id=self.room.pk)

    @rule(who=people, whom=people, role=st.sampled_from(ROLES))
    def add(self, who: str, whom: str, role: str) -> None:
        user_id = str(self.cast[whom].pk)
        self.act(memberships.add, by=self.cast[who], room_id=self.room.pk, user_id=user_id, role=role)

    @rule(who=people, whom=people)
    def remove(self, who: str, whom: str) -> None:
        self.act(memberships.remove, by=self.cast[who], room_id=self.room.pk, user_id=str(self.cast[whom].pk))

    @rule(who=people, whom=people, role=st.sampled_from(ROLES))
    def change_role(self, who: str, whom: str, role: str) -> None:
        user_id = str(self.cast[whom].pk)
        self.act(memberships.change_role, by=self.cast[who], room_id=self.room.pk, user_id=user_id, role=role)

    @rule(who=people, name=st.sampled_from(("Lobby", "Hall", None)), archived=st.sampled_from((None, False, True)))
    def update(self, who: str, name: str | None, archived: bool | None) -> None:
        self.act(rooms.update, by=self.cast[who], room_id=self.room.pk, name=name, archived=archived)

    @rule(who=people, number=st.integers(0, 60), force=st.booleans())
    def read(self, who: str, number: int, force: bool) -> None:
        self.act(read_pointers.move, by=self.cast[who], room_id=self.room.pk, number=number, force=force)

    @rule(whom=st.sampled_from(PEOPLE[1:]))
    def the_account_is_deleted(self, whom: str) -> None:
        old = self.cast[whom]
        self.posted = {key: each for key, each in self.posted.items() if each[0] != whom}
        self.versions.pop(str(old.pk), None)
        self.act(old.delete)
        # The name of an author or a member is as of sending, an account that is gone included.
        for state in (self.live, self.absent, self.deaf):
            forget(state, self.room)
        self.cast[whom] = person(whom)

    # How clients follow --------------------------------------------------------------------------------------------

    @rule()
    def come_back(self) -> None:
        """The absent client catches up by pages; a process that missed every hint repairs itself."""
        catch_up(self.watcher, self.room, self.absent)
        repair(self.room, self.deaf)
        now = fresh_state(self.watcher, self.room).comparable
        assert self.absent.comparable == now
        assert self.deaf.comparable == now

    @invariant()
    def the_log_holds(self) -> None:
        if hasattr(self, "room"):
            check_log(self.room)

    @invariant()
    def the_live_client_sees_what_a_fresh_one_sees(self) -> None:
        if hasattr(self, "room"):
            assert self.live.comparable == fresh_state(self.watcher, self.room).comparable

    @invariant()
    def a_room_keeps_an_owner_while_anybody_is_in_it(self) -> None:
        if hasattr(self, "room"):
            present = Membership.objects.present().filter(room=self.room)
            owners = present.filter(role="owner", user__isnull=False).exists()
            # Who comes back to a room that everybody left is a member like any other: rooms of the site's own, too,
            # have no owner, and nobody becomes one by being first.
            assert owners or not self.is_owned or not present.exists()
            self.is_owned = owners

    @invariant()
    def rooms_version_never_falls(self) -> None:
        if hasattr(self, "room"):
            now = reads.rooms_versions([str(each.pk) for each in self.cast.values()])
            assert all(now[key] >= version for key, version in self.versions.items())
            self.versions = now


def forget(state: State, room: Room) -> None:
    """Take over who wrote what: an account that is deleted takes its name from its messages, without a seq."""
    rows = Message.objects.filter(room=room, author=None).values_list("pk", flat=True)
    gone = {str(pk) for pk in rows}
    for key, each in state.messages.items():
        if key in gone:
            state.messages[key] = msgspec.structs.replace(each, author=None)


@pytest.mark.slow
def test_no_act_tears_a_hole_and_every_way_leads_to_the_same_state(db: None) -> None:
    with patch.object(changes, "PAGE_THINGS", 3):  # many pages
        run_state_machine_as_test(Talk, settings=profile(examples=25, steps=40))


def profile(*, examples: int, steps: int) -> Any:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
