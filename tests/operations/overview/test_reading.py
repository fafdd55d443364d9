"""Readings that many share, and stores that are away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import QueueUnavailable
from app.operations.dlq.users import user_of
from app.operations.overview.reading import Faults, Kept


def raising() -> int:
    raise QueueUnavailable("Redis at r:6379 is full")


def test_a_store_that_is_away_is_asked_once() -> None:
    faults, asked = Faults(), list[str]()
    assert faults.read("Redis", raising) is None
    assert faults.read("Redis", lambda: asked.append("again")) is None
    assert faults.read("ledger", lambda: 7) == 7
    assert asked == []
    assert (faults.of("Redis"), faults.of("ledger")) == ("Redis at r:6379 is full", "")
    assert faults.lines() == ("Redis at r:6379 is full",)


def test_a_reading_is_kept_for_its_time() -> None:
    moments, numbers = [0.0], iter(range(9))
    kept = Kept(lambda: next(numbers), 2.0, lambda: moments[0])
    assert (kept.get(), kept.get()) == (0, 0)
    moments[0] = 1.9
    assert kept.get() == 0
    moments[0] = 2.0
    assert kept.get() == 1


def test_all_who_ask_first_wait_for_one_reading() -> None:
    numbers = iter(range(9))
    kept = Kept(lambda: next(numbers), 60.0)
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda _: kept.get(), range(20))) == {0}


def test_while_one_reads_anew_the_others_are_given_the_reading_before() -> None:
    begun, go_on = threading.Event(), threading.Event()
    moments, readings = [0.0], list[int]()

    def read() -> int:
        readings.append(len(readings))
        if len(readings) == 2:
            begun.set()
            assert go_on.wait(5)
        return readings[-1]

    kept = Kept(read, 1.0, lambda: moments[0])
    kept.get()
    moments[0] = 5.0
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(kept.get)
        assert begun.wait(5)
        assert kept.get() == 0
        go_on.set()
        assert slow.result(5) == 1
    assert (kept.get(), readings) == (1, [0, 1])


@pytest.mark.parametrize(
    ("payload", "same"),
    [
        ({"reference": "a", "livemode": False, "session_id": "vs_1"}, False),
        ({"reference": "a", "livemode": True, "session_id": "vs_2"}, True),
        ({"reference": None, "session_id": "vs_1"}, False),
        ({"reference_key": "digest", "session_id": "vs_1"}, False),
        ({}, False),
    ],
)
def test_a_user_is_told_from_others_by_reference_and_mode(
    payload: dict[str, object], same: bool
) -> None:
    event = {"reference": "a", "account": "", "livemode": True, "purpose": "", "session_id": "vs_9"}
    assert (user_of(payload) == user_of(event)) == same


def test_a_reading_that_fails_is_made_again() -> None:
    outcomes: Iterator[Callable[[], int]] = iter([raising, lambda: 7])

    def read() -> int:
        return next(outcomes)()

    kept = Kept(read, 60.0)
    with pytest.raises(QueueUnavailable):
        kept.get()
    assert kept.get() == 7
