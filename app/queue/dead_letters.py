"""The dead-letter queue, read: RQ's FailedJobRegistry, kept for ever."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from rq.registry import FailedJobRegistry
from rq.results import Result

from app.queue.connection import translated_errors
from app.queue.model import QueueSpec, traceback_in
from app.queue.registry import Place, Registry, payload_by_name, text_of

# What is read of a job's hash: `data` holds the payload, the others are a letter's own.
FIELDS = (
    "data",
    "reason",
    "error_class",
    "error",
    "attempts",
    "first_failed_at",
    "last_failed_at",
    "description",
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that failed for good, as people read it."""

    id: str
    reason: str
    error_class: str
    error: str
    attempts: int
    first_failed_at: str
    last_failed_at: str
    description: str
    payload: Mapping[str, Any]  # by name; empty if no version of ours can read it


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, connection: Redis, spec: QueueSpec) -> None:
        """`connection` is one of `open_redis`."""
        self._connection = connection
        self._spec = spec
        self._registry = Registry(connection, FailedJobRegistry.key_template.format(spec.rq_name))

    def __len__(self) -> int:
        """How many there are now."""
        return len(self._registry)

    def find(self, id: str) -> DeadLetter | None:
        """One dead letter, or None if there is none of that id."""
        if self._registry.score(id) is None:
            return None
        return next(self._read([id]), None)

    def traceback_of(self, id: str) -> str:
        """Where the exception came from that ended it, without values; "" if that is not kept."""
        with translated_errors():
            found = self._connection.xrevrange(Result.get_key(id), count=1)
        entries = cast(list[tuple[bytes, dict[bytes, bytes]]], found)
        return next((traceback_in(result) for _, result in entries), "")

    def __iter__(self) -> Iterator[DeadLetter]:
        """All dead letters, newest first, read a page at a time.

        What is buried or replayed meanwhile may be missed or, rarely, seen twice.
        """
        return (letter for _, letter in self.placed())

    def ids(self) -> Iterator[str]:
        """The ids alone of all dead letters, as `iter` gives them."""
        return (id for page in self._pages() for id in page)

    def placed(self, start: float = -math.inf) -> Iterator[tuple[float, DeadLetter]]:
        """The same with the place of each: minus the time of its death, so the newest is least.

        From the place `start`.
        """
        for page in self._registry.pages(start):
            places = dict(page)
            for letter in self._read(list(places)):
                yield places[letter.id], letter

    def placed_of(self, ids: Sequence[str]) -> list[tuple[float, DeadLetter]]:
        """Those of the ids that are dead letters, with their places, the newest first."""
        found = {id: self._registry.score(id) for id in ids}
        places = {id: place for id, place in found.items() if place is not None}
        letters = {letter.id: letter for letter in self._read(list(places))} if places else {}
        return sorted(
            ((places[id], letter) for id, letter in letters.items()), key=lambda pair: pair[0]
        )

    def newest_place(self) -> float:
        """The place of the newest letter; infinity if there is none."""
        page = next(self._registry.pages(), [])
        return page[0][1] if page else math.inf

    def count_from(self, place: float) -> int:
        """How many letters are at this place or have been dead for longer."""
        return self._registry.count_from(place)

    def page(self, after: Place | None, most: int) -> list[tuple[Place, DeadLetter | None]]:
        """The next `most` after a place, newest first; None beside one whose job is gone."""
        places = self._registry.after(after, most)
        found = self._registry.fields([place.id for place in places], FIELDS)
        return [
            (place, _dead_letter(self._spec, place.id, values))
            for place, values in zip(places, found, strict=True)
        ]

    def died_after(self, moment: float, most: int) -> tuple[list[str], float]:
        """The ids of those that died after `moment`, oldest first, and when the last of them did.

        About `most` at once; those that died together are not parted. Unix seconds by Redis' clock.
        """
        with translated_errors():
            found = cast(
                list[tuple[bytes, float]],
                self._registry.connection.zrange(
                    self._registry.key,
                    cast(Any, f"({-moment!r}"),
                    cast(Any, "-inf"),
                    byscore=True,
                    desc=True,
                    withscores=True,
                    offset=0,
                    num=most,
                ),
            )
        if not found:
            return [], moment
        last = found[-1][1]
        if len(found) == most:  # more of the same moment may come
            found = [one for one in found if one[1] != last] or found
        return [id.decode() for id, _ in found], -found[-1][1]

    def count_by_reason(self, most: int | None = None) -> Counter[str]:
        """How many there are of each reason: a third of the time that reading them takes.

        About the newest `most` are counted; None: all.
        """
        counts: Counter[str] = Counter()
        looked = 0
        for page in self._pages():
            found = self._registry.fields(page, ("reason", "status"))
            counts.update(_reason(reason) for reason, status in found if status is not None)
            looked += len(page)
            if most is not None and looked >= most:
                break
        return counts

    def _pages(self) -> Iterator[list[str]]:
        return ([id for id, _ in page] for page in self._registry.pages())

    def _read(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        for id, values in zip(ids, self._registry.fields(ids, FIELDS), strict=True):
            letter = _dead_letter(self._spec, id, values)
            if letter is not None:
                yield letter


def _reason(value: bytes | None) -> str:
    """RQ's own tools can fail a job too; they leave only `exc_info`."""
    return value.decode(errors="replace") if value else "permanent_error"


def _dead_letter(spec: QueueSpec, id: str, values: Sequence[bytes | None]) -> DeadLetter | None:
    """None of a job that is gone."""
    if all(value is None for value in values):
        return None
    data, reason, *rest = values
    error_class, error, attempts, first_failed_at, last_failed_at, description = map(text_of, rest)
    return DeadLetter(
        id=id,
        reason=_reason(reason),
        error_class=error_class,
        error=error,
        attempts=int(attempts or 0),
        first_failed_at=first_failed_at,
        last_failed_at=last_failed_at,
        description=description,
        payload=payload_by_name(spec, data),
    )
