"""Who is connected, as processes that tell one another know it, whatever is lost on the way and whoever dies."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.live import presence_book
from chat.live.presence_book import LINGER_S, SETTLE_S, PresenceBook

EXPIRES_S = 45.0
STATE_S = 15.0


@dataclass
class Processes:
    """Some processes, one clock, and a layer between them that may be gone or lose a message."""

    count: int
    now: float = 100.0
    layer: bool = True
    dead: set[int] = field(default_factory=set)
    people: dict[int, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books = [PresenceBook(is_shared=True, expires_s=EXPIRES_S) for _ in range(self.count)]
        self.state_at = [0.0] * self.count
        self.there = [False] * self.count

    def set(self, place: int, user_id: str, status: Any) -> None:
        self.books[place].set_own(user_id, status, self.now)

    def kill(self, place: int) -> None:
        self.dead.add(place)

    def second(self, *, lose: bool = False) -> None:
        """What ``Presence.second`` does in each of them."""
        self.now += 1.0
        for place, book in enumerate(self.books):
            if place in self.dead:
                continue
            news = book.news(self.now)
            book.layer_is(self.layer, self.now)
            is_back, self.there[place] = self.layer and not self.there[place], self.layer
            if is_back:
                for other in range(self.count):
                    self.state_at[other] = 0.0  # it asks
            is_state = self.now >= self.state_at[place]
            if is_state:
                self.state_at[place] = self.now + STATE_S
            parts = book.parts() if is_state else []
            if not self.layer or lose:
                continue
            for other, theirs in enumerate(self.books):
                if other == place or other in self.dead:
                    continue
                for at, people in enumerate(parts):
                    theirs.state(str(place), at, len(parts), people, self.now)
                if news and not is_state:
                    theirs.changed(str(place), news, self.now)
        for place, book in enumerate(self.books):
            if place not in self.dead:
                book.settle(self.now)

    def seconds(self, count: float, **options: Any) -> None:
        for _ in range(round(count)):
            self.second(**options)

    def seen(self, user_id: str) -> list[str]:
        return [book.status_of(user_id) for place, book in enumerate(self.books) if place not in self.dead]


@pytest.fixture
def two() -> Processes:
    processes = Processes(2)
    processes.seconds(SETTLE_S + 2)
    return processes


def test_one_process_without_a_layer_knows_everybody() -> None:
    book = PresenceBook(is_shared=False, expires_s=EXPIRES_S)
    assert book.status_of("1") == "offline"
    book.set_own("1", "online", 0.0)
    assert book.status_of("1") == "online"


def test_who_comes_goes_or_steps_away_is_known_in_the_other_process_within_a_second(two: Processes) -> None:
    assert two.seen("1") == ["offline", "offline"]
    for status in ("online", "away", "online"):
        two.set(0, "1", status)
        two.second()
        assert two.seen("1") == [status, status]
    two.set(0, "1", None)
    two.seconds(LINGER_S + 1)
    assert two.seen("1") == ["offline", "offline"]


def test_a_reload_of_the_page_is_no_absence(two: Processes) -> None:
    two.set(0, "1", "online")
    two.second()
    two.set(0, "1", None)
    for book in two.books:
        book.take_changed()
    two.seconds(LINGER_S - 1)
    two.set(0, "1", "online")
    two.seconds(LINGER_S + 2)
    assert two.seen("1") == ["online", "online"]
    assert not two.books[1].take_changed()


def test_a_person_is_online_if_they_are_anywhere(two: Processes) -> None:
    two.set(0, "1", "away")
    two.set(1, "1", "online")
    two.second()
    assert two.seen("1") == ["online", "online"]
    two.set(1, "1", None)
    two.seconds(LINGER_S + 1)
    assert two.seen("1") == ["away", "away"]


def test_the_people_of_a_killed_process_are_offline_after_a_while_and_no_others(two: Processes) -> None:
    two.set(0, "1", "online")
    two.set(1, "2", "online")
    two.second()
    two.kill(0)
    two.seconds(EXPIRES_S - STATE_S - 2)
    assert two.seen("1") == ["online"], "it may only have been held up"
    two.seconds(STATE_S + 4)
    assert (two.seen("1"), two.seen("2")) == (["offline"], ["online"])


def test_whoever_moved_from_a_killed_process_to_another_is_never_offline(two: Processes) -> None:
    two.set(0, "1", "online")
    two.second()
    two.kill(0)
    two.set(1, "1", "online")
    for _ in range(round(EXPIRES_S) + 5):
        two.second()
        assert two.seen("1") == ["online"]


def test_without_the_layer_whoever_is_not_here_is_unknown_and_with_it_known_again(two: Processes) -> None:
    two.set(0, "1", "online")
    two.second()
    two.layer = False
    two.second()
    assert (two.seen("1"), two.seen("2")) == (["online", "unknown"], ["unknown"] * 2)
    two.set(0, "1", None)
    two.set(0, "3", "online")
    two.seconds(3 * EXPIRES_S)
    assert two.seen("1") == ["unknown"] * 2
    two.layer = True
    two.seconds(2)
    assert two.seen("3") == ["online", "online"]
    assert two.seen("1") == ["unknown"] * 2, "others may not have told yet"
    two.seconds(SETTLE_S)
    assert two.seen("1") == two.seen("2") == ["offline"] * 2


def test_what_was_lost_is_made_good_by_the_next_state(two: Processes) -> None:
    two.set(0, "1", "online")
    two.second(lose=True)
    assert two.seen("1") == ["online", "offline"]
    two.seconds(STATE_S + 1)
    assert two.seen("1") == ["online", "online"]
    two.set(0, "1", None)
    two.seconds(LINGER_S + 1, lose=True)
    two.seconds(STATE_S + 1)
    assert two.seen("1") == ["offline", "offline"]


def test_a_state_in_parts_of_which_one_is_lost_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_book, "PEOPLE_PER_HINT", 2)
    here, there = (PresenceBook(is_shared=True, expires_s=EXPIRES_S) for _ in range(2))
    here.layer_is(True, 0.0)
    for number in range(5):
        there.set_own(str(number), "online", 0.0)
    parts = there.parts()
    assert [len(each) for each in parts] == [2, 2, 1]
    for at in (0, 2):
        here.state("there", at, 3, parts[at], 1.0)
    assert not any(here.is_connected(str(number)) for number in range(5))
    for at in range(3):
        here.state("there", at, 3, parts[at], 2.0)
    assert all(here.is_connected(str(number)) for number in range(5))


def test_a_change_between_two_parts_of_a_state_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    here = PresenceBook(is_shared=True, expires_s=EXPIRES_S)
    here.layer_is(True, 0.0)
    here.state("there", 0, 2, {"1": "online", "2": "online"}, 1.0)
    here.changed("there", {"1": "offline", "3": "away"}, 1.0)
    here.state("there", 1, 2, {"4": "online"}, 1.0)
    assert [here.is_connected(each) for each in "1234"] == [False, True, True, True]


def test_odd_messages_of_other_versions_do_no_harm_and_take_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence_book, "PEOPLE_AT_MOST", 10)
    monkeypatch.setattr(presence_book, "PROCESSES_AT_MOST", 3)
    here = PresenceBook(is_shared=True, expires_s=EXPIRES_S)
    here.layer_is(True, 0.0)
    here.changed("there", {"1": "asleep", "2": "online"}, 1.0)
    here.changed("there", {f"x{number}": "online" for number in range(100)}, 1.0)
    assert not here.is_connected("1")
    assert sum(here.is_connected(f"x{number}") for number in range(100)) == 9
    for number in range(10):
        here.changed(f"p{number}", {f"y{number}": "online"}, 2.0 + number)
    assert [here.is_connected(f"y{number}") for number in range(10)] == [False] * 7 + [True] * 3


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 2), st.sampled_from("abc"), st.sampled_from(["online", "away", None])),
        st.tuples(st.just("second"), st.booleans()),
        st.tuples(st.just("layer"), st.booleans()),
        st.tuples(st.just("seconds"), st.integers(1, 60)),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=80, deadline=None)
def test_once_the_layer_is_sound_all_processes_agree_with_the_truth(steps: list[Any]) -> None:
    processes = Processes(3)
    truth: dict[tuple[int, str], str | None] = {}
    for step in steps:
        match step:
            case ("set", place, user_id, status):
                processes.set(place, user_id, status)
                truth[place, user_id] = status
            case ("second", lose):
                processes.second(lose=lose)
            case ("layer", is_there):
                processes.layer = is_there
            case ("seconds", count):
                processes.seconds(count)
        for place, book in enumerate(processes.books):
            for user_id in "abc":
                if truth.get((place, user_id)) == "online":
                    assert book.status_of(user_id) == "online"
                elif not processes.layer and truth.get((place, user_id)) is None and not book.is_certain:
                    assert book.status_of(user_id) != "offline"
    processes.layer = True
    processes.seconds(max(STATE_S, LINGER_S) + SETTLE_S + 2)
    for user_id in "abc":
        statuses = {truth.get((place, user_id)) for place in range(3)}
        expected = "online" if "online" in statuses else "away" if "away" in statuses else "offline"
        assert processes.seen(user_id) == [expected] * 3
