"""How far users come with their verification: which step a change of a standing is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

CREATED, SUBMITTED, VERIFIED, CANCELED = "created", "submitted", "verified", "canceled"
FAILED = "failed/"  # and Stripe's code
ABANDONED = "abandoned"  # the code of who gave up


class Change(NamedTuple):
    """A change of a standing, as far as it tells the step."""

    previous: str | None  # the status before; None: the reference was first seen
    status: str
    code: str | None  # of the last error
    cause: str  # the observation's name
    by_event: bool  # False: an API answer showed it


def steps_of(change: Change) -> tuple[str, ...]:
    """The steps that the user made by it: none for a change that is none, as a redaction.

    Whom an API answer shows as verified when first seen, as an import does, was not verified then.
    """
    if change.status == "requires_input":
        return _of_input(change)
    if change.status == change.previous:
        return ()
    if change.status == "processing":
        return (SUBMITTED,)
    if change.status == "canceled":
        return () if change.previous is None else (CANCELED,)
    if change.status != "verified" or (change.previous is None and not change.by_event):
        return ()
    return (*_submitted_before(change), VERIFIED)


def _of_input(change: Change) -> tuple[str, ...]:
    again = change.previous == "requires_input"
    if change.code is None:
        return (CREATED,) if not again or change.cause == "created" else ()
    # A second change of the same failure, as by a redaction, is not a second failure.
    if again and not (change.by_event and change.cause == "requires_input"):
        return ()
    if change.previous is None and not change.by_event:
        return ()
    submitted = () if change.code == ABANDONED else _submitted_before(change)
    return (*submitted, FAILED + change.code)


def _submitted_before(change: Change) -> tuple[str, ...]:
    """Who was checked had submitted, though the event that tells of it came late or never."""
    return () if change.previous == "processing" else (SUBMITTED,)


@dataclass(frozen=True, slots=True)
class Funnel:
    """How many users made which step in a length of time."""

    created: int
    submitted: int
    verified: int
    canceled: int
    abandoned: int
    failed: Mapping[str, int]  # by code, the most frequent first; without who gave up

    @classmethod
    def of(cls, steps: Counter[str]) -> Funnel:
        """From the number of each step."""
        failed = Counter(
            {step.removeprefix(FAILED): n for step, n in steps.items() if step.startswith(FAILED)}
        )
        abandoned = failed.pop(ABANDONED, 0)
        return cls(
            created=steps[CREATED],
            submitted=steps[SUBMITTED],
            verified=steps[VERIFIED],
            canceled=steps[CANCELED],
            abandoned=abandoned,
            failed=dict(sorted(failed.items(), key=lambda found: (-found[1], found[0]))),
        )
