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
MAX_COUNTED = 1_000
MAX_LOOKED = 1_000


class Paged(Protocol[Job]):
    """What `DeadLetters` and `DeferredJobs` have in common."""

    def page(self, after: Place | None, most: int) -> list[tuple[Place, Job | None]]:
        """The next `most` after a place; None beside one that is not there any more."""


@dataclass(frozen=True, slots=True)
class Found(Generic[Job]):
    """One page of what a selection means."""

    placed: list[tuple[Place, Job]]
    looked: int  # how many were read for it
    next: Place | None  # after which the next page begins; None: this is the last

    @property
    def jobs(self) -> list[Job]:
        """Those that were found."""
        return [job for _, job in self.placed]

    def first(self, limit: int) -> Found[Job]:
        """The page of the first `limit` alone."""
        if len(self.placed) <= limit:
            return self
        shown = self.placed[:limit]
        return Found(shown, self.looked, shown[-1][0])


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
    most_looked: int | None = None,
) -> Found[Job]:
    """The next `limit` that match, of about `most_looked` that are read; None: MAX_LOOKED.

    `now` is in Unix seconds. Raises QueueUnavailable.
    """
    most_looked = MAX_LOOKED if most_looked is None else most_looked
    size = limit + 1 if selection == Selection() else PAGE
    place, found, looked = after, list[tuple[Place, Job]](), 0
    while looked < most_looked:
        page = jobs.page(place, size)
        for here, job in page:
            if len(found) == limit:
                return Found(found, looked, place)
            place, looked = here, looked + 1
            if job is not None and selection.matches(job, now):
                found.append((here, job))
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


def look(
    letters: DeadLetters, selection: Selection, now: float, *, after: Place | None, limit: int
) -> tuple[Counted, Found[DeadLetter]]:
    """How many letters match, by reason, and a page of them; of many, the newest alone are counted.

    `now` is in Unix seconds. Raises QueueUnavailable.
    """
    if selection == Selection():
        total = len(letters)
        by_reason = letters.count_by_reason(MAX_COUNTED)
        counted = Counted(total, by_reason, total <= MAX_COUNTED)
        return counted, find_letters(letters, selection, now, after=after, limit=limit)
    newest = find_letters(letters, selection, now, after=None, limit=MAX_LOOKED)
    by_reason = Counter(letter.reason for letter in newest.jobs)
    counted = Counted(by_reason.total(), by_reason, newest.next is None)
    if after is None:  # read once for both
        return counted, newest.first(limit)
    return counted, find_letters(letters, selection, now, after=after, limit=limit)
