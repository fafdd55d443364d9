"""Dead letters and what waits, a page at a time."""

from __future__ import annotations

import time

import pytest

from app.operations.dlq import listing
from app.operations.dlq.listing import Counted, find, find_letters, look
from app.operations.dlq.selection import Selection
from app.queue.registry import Place
from tests.support.deployment import Deployment, letter
from tests.support.places import new

ALL = Selection()


@pytest.fixture
def now() -> float:
    """The time by which ages are told: that of this machine, by which letters are aged."""
    return time.time()


def bury(deployment: Deployment, number: int) -> list[str]:
    """So many letters, each an hour older than the one before; their ids, newest first."""
    ids = [f"evt_{n}" for n in range(number)]
    deployment.bury(*(letter(id, reference=f"user-{id[4:]}") for id in ids))
    for hours, id in enumerate(ids):
        deployment.age(id, hours=hours)
    return ids


def pages(deployment: Deployment, selection: Selection, now: float, limit: int) -> list[list[str]]:
    """The ids of each page, until there is none."""
    found, after = [], None
    while True:
        page = find_letters(deployment.letters, selection, now, after=after, limit=limit)
        found.append([one.id for one in page.jobs])
        after = page.next
        if after is None:
            return found


def count(deployment: Deployment, selection: Selection, now: float) -> Counted:
    """How many letters a selection means."""
    return look(deployment.letters, selection, now, after=None, limit=2)[0]


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_a_page_of_a_filter_is_the_same_whether_or_not_it_is_counted(
    deployment: Deployment, now: float, limit: int
) -> None:
    ids = bury(deployment, 7)
    for selection in (ALL, Selection(status="verified")):
        seen, after = [], None
        for _ in range(len(ids)):
            counted, page = look(deployment.letters, selection, now, after=after, limit=limit)
            assert (counted.total, counted.complete) == (7, True)
            seen += [letter.id for letter in page.jobs]
            after = page.next
            if after is None:
                break
        assert seen == ids


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_hold_every_letter_once_newest_first(
    deployment: Deployment, now: float, limit: int
) -> None:
    ids = bury(deployment, 7)
    found = pages(deployment, ALL, now, limit)
    assert [id for page in found for id in page] == ids
    assert all(len(page) == limit for page in found[:-1])


def test_letters_of_one_moment_are_parted_by_their_ids(deployment: Deployment, now: float) -> None:
    ids = bury(deployment, 7)
    deployment.redis.zadd("rq:failed:identity-events", dict.fromkeys(ids, -1_000.5))
    assert pages(deployment, ALL, now, 3) == [ids[:3], ids[3:6], ids[6:]]


def test_a_page_goes_on_though_its_last_letter_is_gone(deployment: Deployment, now: float) -> None:
    ids = bury(deployment, 4)
    page = find_letters(deployment.letters, ALL, now, after=None, limit=2)
    deployment.events.discard([ids[1]])
    rest = find_letters(deployment.letters, ALL, now, after=page.next, limit=2)
    assert [one.id for one in rest.jobs] == ids[2:]


def test_a_letter_whose_job_is_gone_is_left_out(deployment: Deployment, now: float) -> None:
    ids = bury(deployment, 3)
    deployment.redis.delete(f"rq:job:{ids[1]}")
    assert pages(deployment, ALL, now, 2) == [[ids[0], ids[2]]]


def test_a_selection_is_looked_for_in_a_bounded_number_of_letters(
    deployment: Deployment, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LOOKED", 4)
    monkeypatch.setattr(listing, "PAGE", 2)
    ids = bury(deployment, 7)
    selection = Selection(reference="user-5")
    first = find_letters(deployment.letters, selection, now, after=None, limit=5)
    assert (first.jobs, first.looked) == ([], 4)
    rest = find_letters(deployment.letters, selection, now, after=first.next, limit=5)
    assert ([one.id for one in rest.jobs], rest.next) == ([ids[5]], None)


def test_what_is_old_is_found_without_reading_what_is_new(
    deployment: Deployment, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LOOKED", 3)
    ids = bury(deployment, 7)
    found = find_letters(
        deployment.letters, Selection(older_than=3.5 * 3_600), now, after=None, limit=5
    )
    assert ([one.id for one in found.jobs], found.next) == (ids[4:], None)


def test_letters_are_counted_by_reason_and_a_selection_alone(
    deployment: Deployment, now: float
) -> None:
    deployment.bury(letter("evt_1"), letter("evt_2"))
    deployment.bury(letter("evt_3", "processing"), reason="timed_out")
    counted = count(deployment, ALL, now)
    assert (counted.total, counted.complete) == (3, True)
    assert counted.by_reason == {"permanent_error": 2, "timed_out": 1}
    assert count(deployment, Selection(status="processing"), now).total == 1


def test_of_many_letters_the_newest_are_counted_and_that_is_said(
    deployment: Deployment, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(deployment, 5)
    monkeypatch.setattr(listing, "MAX_COUNTED", 4)
    monkeypatch.setattr("app.queue.registry.PAGE", 2)
    counted = count(deployment, ALL, now)
    assert (counted.total, counted.by_reason.total(), counted.complete) == (5, 4, False)
    monkeypatch.setattr(listing, "MAX_LOOKED", 2)
    counted = count(deployment, Selection(status="verified"), now)
    assert (counted.total, counted.complete) == (2, False)


def test_what_waits_is_paged_in_the_order_of_its_next_try(
    deployment: Deployment, now: float
) -> None:
    deployment.defer(*(letter(f"evt_{n}") for n in range(3)))
    deployment.events.enqueue(new("evt_first_time", delay=1))
    waiting = deployment.stores.deferred("events")
    for n in range(3):
        deployment.redis.zadd("rq:scheduled:identity-events", {f"evt_{n}": now + 9 - n})
    page = find(waiting, ALL, now, after=None, limit=2)
    assert [job.id for job in page.jobs] == ["evt_2", "evt_1"]
    rest = find(waiting, ALL, now, after=page.next, limit=2)
    assert ([job.id for job in rest.jobs], rest.next) == (["evt_0"], None)


def test_a_page_may_begin_anywhere(deployment: Deployment, now: float) -> None:
    bury(deployment, 2)
    found = find_letters(deployment.letters, ALL, now, after=Place(1e9, "evt_9"), limit=2)
    assert (found.jobs, found.next) == ([], None)
