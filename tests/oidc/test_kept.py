"""How often the provider is asked for what it publishes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from app.oidc.errors import ProviderAway
from app.oidc.kept import AT_MOST_EVERY, FAILED_FOR, GOOD_FOR, Kept


class Asked:
    """A provider, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.times = 0
        self.away = False
        self.kept = Kept(self.fetch, lambda: self.now)

    def fetch(self) -> int:
        self.times += 1
        if self.away:
            raise ProviderAway("away")
        return self.times


def test_an_answer_is_good_for_a_while() -> None:
    asked = Asked()
    assert [asked.kept.get(), asked.kept.get()] == [1, 1]
    asked.now += GOOD_FOR
    assert asked.kept.get() == 2


def test_a_newer_one_is_asked_for_at_most_once_a_minute() -> None:
    asked = Asked()
    assert [asked.kept.get(), asked.kept.get_newer()] == [1, 1]
    asked.now += AT_MOST_EVERY
    assert [asked.kept.get_newer(), asked.kept.get_newer()] == [2, 2]


def test_a_failure_is_told_to_all_for_some_seconds_and_then_tried_again() -> None:
    asked = Asked()
    asked.away = True
    for _ in range(3):
        with pytest.raises(ProviderAway):
            asked.kept.get()
    assert asked.times == 1
    asked.now += FAILED_FOR
    asked.away = False
    assert asked.kept.get() == 2


def test_a_failure_to_get_a_newer_one_leaves_the_old_one_until_its_time() -> None:
    asked = Asked()
    asked.kept.get()
    asked.away = True
    asked.now += AT_MOST_EVERY
    with pytest.raises(ProviderAway):
        asked.kept.get_newer()
    assert [asked.kept.get(), asked.kept.get_newer()] == [1, 1]
    asked.now += GOOD_FOR
    with pytest.raises(ProviderAway):
        asked.kept.get()


def test_one_thread_asks_for_all() -> None:
    begun, go_on, times = Event(), Event(), []

    def fetch() -> str:
        times.append(1)
        begun.set()
        assert go_on.wait(5)
        return "keys"

    kept = Kept(fetch, lambda: 0.0)
    with ThreadPoolExecutor() as threads:
        found = [threads.submit(kept.get) for _ in range(4)]
        assert begun.wait(5)
        go_on.set()
        assert [one.result(5) for one in found] == ["keys"] * 4
    assert len(times) == 1
