"""Dead letters and what waits, a page at a time: however many there are, a page costs the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Generic, Protocol

from app.operations.dlq.selection import Job, Selection
from app.queue.dead_letters import DeadLetter, DeadLetters
from app.queue.registry import PAGE, Place

# Letters whose reasons are counted for one page, and letters that are read for one page of a
# selection: 100,000 would take seconds, and what is found says how far it was looked.
MAX_COUNTED = 2_000
MAX_LOOKED = 1_000


class Paged(Protocol[Job]):
    """What `DeadLetters` and `DeferredJobs` have in common."""

    def page(self, after: Place | None, most: int) -> list[tuple[Place, Job | None]]:
        """The next `most` after a place; None beside one that is not there any more."""


@dataclass(frozen=True, slots=True)
class Found(Generic[Job]):
    """One page of what a selection means."""

    jobs: list[Job]
    looked: int  # how many were read for it
    next: Place | None  # after which the next page begins; None: this is the last


@dataclass(frozen=True, slots=True)
class Counted:
    """How many letters a selection means, by reason."""

    total: int
    by_reason: Counter[str]
    complete: bool  # False: there are more than were counted; `total` is "at least" of a selection


def find(
    jobs: Paged[Job],
    selection: Selection,
    now: float,
    *,
    after: Place | None,
    limit: int,
    look: int | None = None,
) -> Found[Job]:
    """The next `limit` that match, of about `look` that are read at most; None: MAX_LOOKED.

    `now` is in Unix seconds. Raises QueueUnavailable.
    """
    look = MAX_LOOKED if look is None else look
    size = limit + 1 if selection == Selection() else PAGE
    place, found, looked = after, list[Job](), 0
    while looked < look:
        page = jobs.page(place, size)
        for here, job in page:
            if len(found) == limit:
                return Found(found, looked, place)
            place, looked = here, looked + 1
            if job is not None and selection.matches(job, now):
                found.append(job)
        if len(page) < size:
            return Found(found, looked, None)
    return Found(found, looked, place)


def find_letters(
    letters: DeadLetters, selection: Selection, now: float, *, after: Place | None, limit: int
) -> Found[DeadLetter]:
    """The same of dead letters, beginning with those that are as old as is asked for."""
    if after is None and selection.older_than is not None:
        after = Place(selection.older_than - now, "")  # a letter's score is minus its death
    return find(letters, selection, now, after=after, limit=limit)


def count(letters: DeadLetters, selection: Selection, now: float) -> Counted:
    """How many letters match, by reason; of many, the newest alone are counted.

    Raises QueueUnavailable.
    """
    if selection == Selection():
        total = len(letters)
        return Counted(total, letters.count_by_reason(MAX_COUNTED), total <= MAX_COUNTED)
    found = find_letters(letters, selection, now, after=None, limit=MAX_LOOKED)
    by_reason = Counter(letter.reason for letter in found.jobs)
    return Counted(by_reason.total(), by_reason, found.next is None)
