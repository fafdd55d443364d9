"""Which dead letters an operation is about, and how a set of any size is pinned by one line."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any, NamedTuple

from app.domain.errors import Rejected
from app.ledger.operations import Kind
from app.operations.dlq.selection import Selection
from app.queue.dead_letters import DeadLetter, DeadLetters

# Letters that an operation may name by id; more are meant by a filter.
MAX_IDS = 1_000
MAX_SECONDS = 10**11  # greater than any moment
NO_DIGEST = "the digest is not one that a preview has given"
EVERY_LETTER = Selection()
FILTERS = frozenset(field.name for field in fields(Selection))


@dataclass(frozen=True, slots=True)
class LetterSet:
    """Dead letters of one queue: those of the ids if there are any, else all that match."""

    queue: str
    filters: Selection = EVERY_LETTER
    ids: tuple[str, ...] = ()

    @property
    def all(self) -> bool:
        """Whether it is the whole queue."""
        return not self.ids and self.filters == EVERY_LETTER

    def as_json(self) -> dict[str, Any]:
        """The conditions alone, without those that are not set."""
        if self.ids:
            return {"ids": list(self.ids)}
        return {name: value for name, value in asdict(self.filters).items() if value is not None}

    @classmethod
    def from_json(cls, queue: str, found: Mapping[str, Any]) -> LetterSet:
        """What `as_json` gave. Raises Rejected for conditions that this release does not know."""
        if found.get("forgotten"):
            raise Rejected("the user whose letters were chosen has been forgotten")
        unknown = found.keys() - FILTERS - {"ids"}
        if unknown:
            raise Rejected(f"this release does not know the filter {', '.join(sorted(unknown))}")
        filters = {name: value for name, value in found.items() if name != "ids"}
        return cls(queue, Selection(**filters), tuple(found.get("ids", ())))

    def of(
        self,
        letters: DeadLetters,
        moment: float,
        start: float = -math.inf,
        end: float = math.inf,
        most_looked: int | None = None,
    ) -> Iterator[tuple[float, DeadLetter]]:
        """The letters that are meant with their places, the newest first.

        Those from the place `start` to before the place `end`. Ages are as of `moment`, in Unix
        seconds. No more than `most_looked` are read for it.
        """
        placed = letters.placed_of(self.ids) if self.ids else letters.placed(start)
        for place, letter in islice(placed, most_looked):
            if place >= end:
                return
            if place >= start and self.filters.matches(letter, moment):
                yield place, letter


class Pin(NamedTuple):
    """A set of letters, pinned: what was chosen, when, the newest of them, and how many.

    Whatever dies later has a newer place, and what has died never comes to an older one. So the set
    from `place` on can only shrink, and is the same for as long as it has as many.

    To count what matches a filter, every letter has to be read. A set that was not counted is
    pinned by all letters from `place` on: for as long as those are as many, it is the same too.
    """

    moment: int  # Unix seconds: ages in the filters are as of then
    place: float  # of the newest letter in the queue
    total: int
    chosen: str  # a digest of the kind, the queue and the conditions, and whether all were counted

    def __str__(self) -> str:
        """As people and forms hand it on."""
        return f"{self.moment}_{self.place!r}_{self.total}_{self.chosen}"

    @classmethod
    def parse(cls, text: str) -> Pin:
        """Raises Rejected if it is no digest of a preview."""
        try:
            moment, place, total, chosen = text.split("_")
            pin = cls(int(moment), float(place), int(total), chosen)
        except ValueError:
            raise Rejected(NO_DIGEST) from None
        if not (0 <= pin.moment < MAX_SECONDS and (math.isfinite(pin.place) or not pin.total)):
            raise Rejected(NO_DIGEST)
        return pin


def digest_of(kind: Kind, chosen: LetterSet, *, counted: bool = True) -> str:
    """What was chosen, in 16 characters; `counted`: the pin has the number of just that."""
    choice = [kind, chosen.queue, chosen.as_json(), *([] if counted else ["not counted"])]
    told = json.dumps(choice, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def count_pinned(chosen: LetterSet, letters: DeadLetters, moment: float, place: float) -> int:
    """How many of the chosen letters are at this place or have been dead for longer."""
    if chosen.all:
        return letters.count_from(place)
    return sum(1 for _ in chosen.of(letters, moment, place))
