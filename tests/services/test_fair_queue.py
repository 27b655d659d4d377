"""People take turns at the writer, and each one's changes keep their order."""

import threading
import time

import pytest

from chat.services.fair_queue import FairQueue, Full

REST_S = 0.05


def queue_of(*items: str, most: int = 100) -> FairQueue[str]:
    """Each item is a person and a number; one with an exclamation mark costs ten, one with an equals sign is single."""
    queue: FairQueue[str] = FairQueue(most, lambda item: 10.0 if "!" in item else 1.0, lambda item: "=" in item)
    for item in items:
        queue.put(item[0], item)
    return queue


def test_one_item_of_each_person_is_taken_in_turn() -> None:
    queue = queue_of("a1", "a2", "a3", "a4", "b1", "c1", "c2")
    assert queue.take(100) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_who_has_had_a_turn_waits_for_the_others_in_the_next_batch_too() -> None:
    queue = queue_of("a1", "a2", "a3", "b1")
    assert queue.take(1) == ["a1"]
    queue.put("c", "c1")
    assert queue.take(2) == ["b1", "a2"]
    assert queue.take(2) == ["c1", "a3"]


def test_a_batch_ends_with_its_budget_and_holds_one_item_at_least() -> None:
    queue = queue_of("a!", "b!", "c1", "d1")
    assert queue.take(12) == ["a!"]
    assert queue.take(1) == ["b!"]
    assert queue.take(2) == ["c1", "d1"]


def test_of_what_is_single_each_person_has_one_in_a_batch_and_what_follows_it_waits_too() -> None:
    queue = queue_of("a1=", "a2=", "a3", "b1=", "b2", "b3=", "c1")
    assert queue.take(100) == ["a1=", "b1=", "c1", "b2"]
    queue.put("d", "d1")
    assert queue.take(100) == ["a2=", "b3=", "d1", "a3"]


def test_who_rests_gets_nothing_single_done_and_holds_up_nobody() -> None:
    queue = queue_of("a1=", "a2=", "b1=")
    assert queue.take(100) == ["a1=", "b1="]
    queue.rest("a", REST_S)
    began = time.monotonic()
    queue.put("c", "c1")
    queue.put("b", "b2=")
    assert queue.take(100) == ["c1", "b2="]
    assert queue.take(100, timeout=0.001) == []
    assert queue.take(100, timeout=20) == ["a2="]
    assert time.monotonic() - began >= REST_S
    queue.put("a", "a4=")
    queue.rest("a", 20)
    queue.close()
    assert queue.take(100) == ["a4="], "what waits is stored before the end"


def test_a_full_queue_takes_nothing_in_and_loses_nothing() -> None:
    queue = queue_of("a1", "b1", most=2)
    with pytest.raises(Full):
        queue.put("c", "c1")
    assert queue.take(100) == ["a1", "b1"]
    queue.put("c", "c1")
    assert queue.take(100) == ["c1"]


def test_a_wait_ends_with_an_item_with_its_time_or_with_the_queue() -> None:
    queue = queue_of()
    assert queue.take(1, timeout=0.01) == []
    threading.Timer(0.05, queue.put, ("a", "a1")).start()
    assert queue.take(1, timeout=20) == ["a1"]
    threading.Timer(0.05, queue.close).start()
    assert queue.take(1, timeout=20) == []
    assert queue.is_done


def test_what_waits_when_the_queue_is_closed_is_still_taken_and_nothing_comes_in() -> None:
    queue = queue_of("a1", "b1")
    queue.close()
    with pytest.raises(Full):
        queue.put("c", "c1")
    assert not queue.is_done
    assert queue.take(1) == ["a1"]
    assert queue.take(1) == ["b1"]
    assert queue.is_done
