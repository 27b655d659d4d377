"""The guarantee, whatever happens in between: the client ends up with the log, and hands out each message once."""

import itertools
import random
import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from chat.client.core.actions import Action, Answered, Connect, Disconnect, Failed, Overflowed, Send, Stored
from chat.client.core.client import ClientCore
from chat.client.core.outbox import OutboxItem
from chat.wire import protocol
from tests.client.core.model_room import BEN, ME
from tests.client.core.model_server import ModelServer

ROOM = "1"
CAL = protocol.User("3", "cal")


class ClientAndServer(RuleBasedStateMachine):
    catch_up = 1000
    keep = 1000

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.actions = 0
        self.server = ModelServer(catch_up=self.catch_up)
        self.core = ClientCore(rng=random.Random(1).random, keep=self.keep, news_at_most=20)
        self.to_server: list[protocol.Command] = []
        self.taken: list[protocol.Message] = []
        self.told_changed: list[tuple[int, int]] = []
        self.has_overflowed = False
        self.has_restored = False
        self.acknowledged: dict[str, protocol.PostResult] = {}
        self.posted: list[str] = []
        self.bodies = itertools.count()
        self.members_asked = False

    @initialize(messages=st.integers(0, 8), loads=st.booleans())
    def begin(self, messages: int, loads: bool) -> None:
        for _ in range(messages):
            self.server.rooms[ROOM].post(BEN, str(uuid.uuid4()), "before")
        self.start_number = messages
        self.do(self.core.start(self.now))
        self.do(self.core.follow(ROOM, self.now))
        self.core.followed[ROOM].window = 3 if loads else 0
        self.settle()

    # The two ends of the connection

    def do(self, actions: list[Action]) -> None:
        self.actions += len(actions)
        assert self.actions < 20_000, "the client never stops"
        for action in actions:
            if isinstance(action, Connect):
                self.server.connect()
                self.to_server.clear()
            elif isinstance(action, Disconnect):
                self.server.disconnect()
                self.to_server.clear()
            elif isinstance(action, Send):
                self.to_server.append(action.command)
            elif isinstance(action, Stored):
                self.acknowledged[action.client_id] = action.result
            elif isinstance(action, Failed):
                raise AssertionError(action)
            elif isinstance(action, Answered) and action.error is not None:
                raise action.error

    def carry_one(self) -> None:
        if self.server.outgoing:
            self.do(self.core.frame([self.server.outgoing.pop(0)], 100, self.now))

    def settle(self) -> None:
        """End all faults: everything arrives, and time passes until client and server have nothing left to do."""
        self.server.fails_next = self.server.replica = None
        for turn in range(400):
            server = self.server
            busy = bool(self.to_server or server.outgoing or server.channel or server.jobs or server.reads)
            while self.to_server:
                self.server.take(self.to_server.pop(0))
            while self.server.jobs:
                self.server.step()
            while self.server.reads:
                self.server.finish_read(0)
            while self.server.channel:
                self.server.outgoing.append(self.server.channel.pop(0))
            while self.server.outgoing:
                self.carry_one()
            self.take_all()
            if not busy and not self.to_server:
                if turn > 20 and self.is_at_rest():
                    return
                self.now += 3.0
                if self.server.is_connected:
                    self.server.beat()
            self.do(self.core.tick(self.now))
        raise AssertionError("the client does not come to rest")

    def is_at_rest(self) -> bool:
        room = self.core.followed[ROOM]
        return self.core.is_live and room.is_live and not room.loads and not len(self.core.outbox)

    def take_all(self) -> None:
        for _ in range(2000):
            if not self.take_one():
                return
        raise AssertionError("the news never ends")

    def take_one(self) -> bool:
        news, actions = self.core.take(ROOM, self.now)
        self.do(actions)
        if isinstance(news, protocol.MessagePosted):
            self.taken.append(news.message)
        elif isinstance(news, protocol.MessageChanged):
            self.told_changed.append((news.message.number, news.message.changed_seq))
        elif isinstance(news, Overflowed):
            self.has_overflowed = True
        return news is not None

    # What happens

    @rule(what=st.lists(st.tuples(st.sampled_from("pppeem"), st.integers(0, 9)), min_size=1, max_size=8))
    def others_are_busy(self, what: list[tuple[str, int]]) -> None:
        """Other people post, edit, join and leave."""
        room = self.server.rooms[ROOM]
        for kind, which in what:
            if kind == "p":
                self.server.publish(room.post(BEN, str(uuid.uuid4()), f"ben {next(self.bodies)}")[1])
            elif kind == "m":
                self.server.publish(room.move((BEN, CAL)[which % 2]))
            elif room.messages:
                # Edit the newest messages, because there edits, deliveries and pages meet.
                self.server.publish(room.edit(max(1, len(room.messages) - which)))

    @rule()
    def the_client_posts(self) -> None:
        body = f"ana {next(self.bodies)}"
        self.posted.append(body)
        self.do(self.core.post(OutboxItem(str(uuid.uuid4()), ME.id, ROOM, body), self.now))

    @rule()
    def the_client_loads_members(self) -> None:
        self.members_asked = True
        self.do(self.core.load(ROOM, protocol.ListMembers(ref=1, room=ROOM), None, self.now))

    @rule(before=st.one_of(st.none(), st.integers(1, 12)))
    def the_client_loads_history(self, before: int | None) -> None:
        self.do(self.core.load(ROOM, protocol.History(ref=1, room=ROOM, before=before), None, self.now))

    @rule(times=st.integers(1, 3))
    def the_application_takes(self, times: int) -> None:
        for _ in range(times):
            self.take_one()

    @rule(times=st.integers(1, 5))
    def frames_arrive(self, times: int) -> None:
        for _ in range(times):
            self.carry_one()

    @rule(times=st.integers(1, 5))
    def commands_arrive(self, times: int) -> None:
        for _ in range(min(times, len(self.to_server))):
            self.server.take(self.to_server.pop(0))

    @precondition(lambda self: self.server.jobs)
    @rule()
    def a_catch_up_goes_on(self) -> None:
        self.server.step()

    @precondition(lambda self: self.server.channel)
    @rule(fates=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["come", "double", "lose"])), min_size=1))
    def the_channel_shuffles(self, fates: list[tuple[int, str]]) -> None:
        for place, fate in fates:
            if self.server.channel:
                event = self.server.channel.pop(place % len(self.server.channel))
                if fate != "lose":
                    self.server.outgoing += [event] * (2 if fate == "double" else 1)

    @rule()
    def all_but_the_channel_moves(self) -> None:
        """Make sure that most of what follows happens to a client that is live."""
        for _ in range(50):
            while self.server.outgoing:
                self.carry_one()
            while self.to_server:
                self.server.take(self.to_server.pop(0))
            if self.server.jobs:
                self.server.step()
            if not self.server.is_connected:
                self.now += 1.0
                self.do(self.core.tick(self.now))

    @precondition(lambda self: self.server.reads)
    @rule(data=st.data())
    def a_read_is_answered(self, data: st.DataObject) -> None:
        self.server.finish_read(data.draw(st.integers(0, len(self.server.reads) - 1)))

    @rule(behind=st.booleans())
    def reads_come_from_a_replica_that_lags(self, behind: bool) -> None:
        if behind:
            self.server.freeze_replica()
        else:
            self.server.replica = None

    @rule()
    def the_server_repairs(self) -> None:
        self.server.repair(ROOM)

    @precondition(lambda self: self.server.is_connected)
    @rule()
    def the_client_lags(self) -> None:
        self.server.lag(ROOM)

    @precondition(lambda self: self.server.is_connected)
    @rule()
    def the_server_beats(self) -> None:
        self.server.beat()

    @rule(retry_after_ms=st.sampled_from([0, 500, 5000]))
    def the_server_is_busy(self, retry_after_ms: int) -> None:
        self.server.fails_next = protocol.ErrorBody("server.busy", "Busy.", True, retry_after_ms)

    @rule()
    def a_run_begins(self) -> None:
        """This loses nothing, and so the client must not notice."""
        self.server.rooms[ROOM].begin_run()

    @rule(seconds=st.floats(0.1, 8))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.core.tick(self.now))

    @precondition(lambda self: self.server.is_connected)
    @rule(chance=st.integers(0, 2))
    def the_connection_breaks(self, chance: int) -> None:
        if chance:
            return
        self.server.disconnect()
        self.to_server.clear()
        self.do(self.core.closed(1006, self.now))

    # What must be true

    @rule(chance=st.integers(0, 5))
    def now_and_then_all_is_quiet(self, chance: int) -> None:
        if chance == 0:  # if this happened more often, few faults would have the time to meet
            self.at_rest_the_client_shows_the_log()

    def at_rest_the_client_shows_the_log(self) -> None:
        self.settle()
        server, client = self.server.rooms[ROOM], self.core.followed[ROOM]
        assert client.cursor.position == protocol.Cursor(server.epoch, server.head, server.run_at(server.head))
        first = client.timeline.first
        assert first is not None
        assert list(client.timeline) == server.messages[first - 1 :]
        assert client.state is not None and client.state.last_number == len(server.messages)
        self.check_taken(server.messages)
        if self.members_asked:
            present = {each.user.id for each, _ in server.members.values() if each.left_at is None}
            assert client.members.is_loaded and {each.user.id for each in client.members} == present
        assert [each for each in self.server.posted if each.startswith("ana")] == self.posted
        assert len(self.acknowledged) == len(self.posted)

    def check_taken(self, log: list[protocol.Message]) -> None:
        assert [each.number for each in self.taken] == list(range(self.start_number + 1, len(log) + 1))
        assert [each.client_id for each in self.taken] == [each.client_id for each in log[self.start_number :]]
        assert len(set(self.told_changed)) == len(self.told_changed), "a change was told twice"
        if not self.has_overflowed:
            told = {each.number: each.changed_seq for each in self.taken} | dict(self.told_changed)
            for message in log[self.start_number :]:
                assert told[message.number] == message.changed_seq, "the last change was not told"

    def teardown(self) -> None:
        if hasattr(self, "start_number"):
            self.at_rest_the_client_shows_the_log()


class ShortMemories(ClientAndServer):
    """The server resets a client after three missed changes (``too_far``), and the client keeps four messages."""

    catch_up = 3
    keep = 4

    def check_taken(self, log: list[protocol.Message]) -> None:
        # A reset loses changes of old messages, and says so. New messages are still handed out one by one.
        assert [each.number for each in self.taken] == list(range(self.start_number + 1, len(log) + 1))
        assert [each.client_id for each in self.taken] == [each.client_id for each in log[self.start_number :]]


class RestoredBackups(ClientAndServer):
    """Now and then numbers go back, and are given to other messages under another epoch."""

    is_unnoticed = False

    @rule()
    def the_server_is_backed_up(self) -> None:
        self.server.rooms[ROOM].back_up()

    @rule()
    def a_backup_is_restored(self) -> None:
        if self.server.rooms[ROOM].backups:
            # A restored backup loses acknowledged messages, so this client posts none.
            self.server.restore(ROOM, unnoticed=self.is_unnoticed)

    def check_taken(self, log: list[protocol.Message]) -> None:
        ids = [each.client_id for each in self.taken]
        assert len(set(ids)) == len(ids), "a message was handed out twice"
        last = {each.number: each.client_id for each in self.taken}
        for message in log[self.start_number :]:
            assert last[message.number] == message.client_id, "a message was not handed out"

    @rule()
    def the_client_posts(self) -> None:
        """Post nothing: messages that a restored backup has lost are not part of the guarantee."""


class LostTails(RestoredBackups):
    """Now and then the database loses its newest changes, and nobody knows: only the run is another one."""

    is_unnoticed = True


quick = settings(
    max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestClientAndServer = ClientAndServer.TestCase
TestClientAndServer.settings = quick
TestShortMemories = ShortMemories.TestCase
TestShortMemories.settings = quick
TestRestoredBackups = RestoredBackups.TestCase
TestRestoredBackups.settings = quick
TestLostTails = LostTails.TestCase
TestLostTails.settings = quick
