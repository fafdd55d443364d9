"""What the metrics tell of a queue: counted by its scripts, in the step that is counted.

So there is one truth for all hosts, and no call to Redis more. A field of the queue's hash is words
with colons between them:

    delivery:OUTCOME                enqueued, duplicate, replayed, refused: Stripe's deliveries
    job:NAME:OUTCOME                completed, deferred, buried, left: jobs by their Kind
    buried:REASON                   jobs that became dead letters
    lease:CAUSE                     expired, worker_died: leases whose jobs were taken up again
    lag:le:BOUND, lag:sum           from Stripe's `created` to an event's completion
    run:le:BOUND, run:sum           what was run at once: a batch of events, one effect
    sent:RECEIVER:OUTCOME           delivered, failed, gone: notifications
    send:RECEIVER:le:BOUND, …:sum   how long each took

Sums are in milliseconds, bounds in seconds; what is over the last bound counts for `inf`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, cast

import msgspec
from redis import Redis

from app.domain.effects import PendingEffect
from app.domain.errors import LaterRelease
from app.domain.event import EVENT_TYPES, PACKED_FIELDS, TYPE_PREFIX
from app.domain.fields import TOKEN
from app.queue.connection import translated_errors
from app.queue.model import Call, QueueSpec, counts_key, decode

# Seconds, upper bounds of the buckets. Stripe gives up on a delivery after three days.
LAG_BOUNDS = (1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400, 259200)
TIME_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
OVER = "inf"
# As `complete.lua` reads them.
LAG_BOUNDS_TEXT = msgspec.json.encode(LAG_BOUNDS)

# What becomes of a job in a worker's hands. `left`, for a worker of a later release, is no end.
COMPLETED, DEFERRED, BURIED, LEFT = "completed", "deferred", "buried", "left"
DELIVERY_OUTCOMES = ("enqueued", "duplicate", "replayed", "refused")
LEASE_CAUSES = ("expired", "worker_died")

EVENT_NAMES = frozenset(type.removeprefix(TYPE_PREFIX) for type in EVENT_TYPES)
_NAME, _CREATED, _CODE = (PACKED_FIELDS.index(n) for n in ("name", "created", "last_error_code"))
_KIND = PendingEffect.__slots__.index("kind")
_FIELDS = len(PACKED_FIELDS)
_tuple = tuple.__new__  # of each event: a named tuple's own constructor takes twice as long
# The events that tell of a failed attempt have its code behind their name.
ATTEMPT = "requires_input"


class Kind(NamedTuple):
    """What the metrics tell a job by. It names nobody."""

    name: str  # of an event, or an effect's kind; of a failed attempt `requires_input/CODE`
    created: int = 0  # when Stripe made the event, in Unix seconds; 0: not told


UNKNOWN = Kind("other")


def kind_of(call: Call) -> Kind:
    """The kind of what a job calls; UNKNOWN for a payload of no form of ours."""
    arguments = call.arguments
    payload = arguments[0] if len(arguments) == 1 else None
    if not isinstance(payload, list) or len(payload) <= _KIND:
        return UNKNOWN
    if len(payload) != _FIELDS:  # an effect, or a thin event, whose session is yet to come
        return _named(payload[_KIND])
    name, created = payload[_NAME], payload[_CREATED]
    if type(name) is not str or name not in EVENT_NAMES or type(created) is not int:
        return UNKNOWN
    if name == ATTEMPT and payload[_CODE]:
        name = f"{name}/{_named(payload[_CODE]).name}"
    return _tuple(Kind, (name, created))


def kind_of_data(data: bytes) -> Kind:
    """The kind of a job by its data, whatever that is."""
    try:
        return kind_of(decode(data))
    except (ValueError, LaterRelease, RecursionError):
        return UNKNOWN


def encode_kinds(kinds: Iterable[Kind]) -> bytes:
    """As `complete.lua` reads them: names and times in turn. As arguments they would cost more."""
    return msgspec.json.encode([part for kind in kinds for part in kind])


def _named(name: Any) -> Kind:
    return Kind(name) if isinstance(name, str) and TOKEN.match(name) else UNKNOWN


class Histogram(NamedTuple):
    """How many took how long."""

    buckets: tuple[tuple[str, int], ...]  # a bound in seconds, and how many took no longer
    sum: float  # seconds


class Tally:
    """What a process counts itself. The next call that ends a job takes it along."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a worker completes in a thread of its own
        self._counts: Counter[str] = Counter()

    def add(self, *words: str, by: int = 1) -> None:
        """Count `by` more."""
        with self._lock:
            self._counts[":".join(words)] += by

    def observe(self, *words: str, seconds: float, bounds: Sequence[float] = TIME_BOUNDS) -> None:
        """Count one that took so long."""
        place = bisect_left(bounds, seconds)
        bound = f"{bounds[place]:g}" if place < len(bounds) else OVER
        self.add(*words, "le", bound)
        self.add(*words, "sum", by=round(seconds * 1000))

    def take(self) -> bytes:
        """All of it, as the scripts read it; b"" for nothing. From here on none of it is here.

        What a call takes along that fails is lost.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return msgspec.json.encode(counts) if counts else b""


class Counts:
    """One queue's counts, as they were at one moment."""

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        """`fields` are those of the queue's hash."""
        self._counts = {
            tuple(field.decode(errors="replace").split(":")): int(count)
            for field, count in fields.items()
        }

    def of(self, *words: str) -> dict[str, int]:
        """What was counted under these words and one more, by that one."""
        return {found[-1]: count for found, count in self._counts.items() if found[:-1] == words}

    def jobs(self) -> dict[tuple[str, str], int]:
        """The jobs that ended, by name and outcome; a failed attempt's name has its code in it."""
        return {
            (found[1], found[2]): count
            for found, count in self._counts.items()
            if found[0] == "job" and len(found) == 3
        }

    def histogram(self, *words: str, bounds: Sequence[float] = TIME_BOUNDS) -> Histogram:
        """What was observed under these words."""
        found = self.of(*words, "le")
        names = [*(f"{bound:g}" for bound in bounds), OVER]
        under = list(accumulate(found.get(name, 0) for name in names))
        return Histogram(
            tuple(zip(names, under, strict=True)), self.of(*words).get("sum", 0) / 1000
        )


def read_counts(connection: Redis, specs: Iterable[QueueSpec]) -> dict[str, Counts]:
    """What was counted, by the queue's name, in one round trip. Raises QueueUnavailable."""
    specs = list(specs)
    with translated_errors(), connection.pipeline(transaction=False) as pipeline:
        for spec in specs:
            pipeline.hgetall(counts_key(spec))
        found = cast(list[dict[bytes, bytes]], pipeline.execute())
    return {spec.name: Counts(fields) for spec, fields in zip(specs, found, strict=True)}
