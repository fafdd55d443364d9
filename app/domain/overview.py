"""What is known of the whole deployment at one moment, from which its verdict follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["ok", "warn", "bad", "off"]

# Seconds that an event or a notification may wait in its queue: workers take it in far less.
LATE, VERY_LATE = 30, 300
# Seconds that the clock may leave what is due: it looks every few.
CLOCK_LATE = 60


class Count(NamedTuple):
    """How many there are, as far as was looked."""

    number: int
    more: bool = False  # there may be more

    def __str__(self) -> str:
        """`37`, or `at least 1,000`."""
        return f"at least {self.number:,}" if self.more else f"{self.number:,}"


NONE = Count(0)


@dataclass(frozen=True, slots=True)
class Deferred:
    """The jobs of one queue that failed and are tried again."""

    count: Count = NONE
    seconds: float = 0  # since the first of them failed first
    reason: str = ""  # the most frequent class of error


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """One queue. Times are in seconds."""

    queued: int = 0
    oldest: float = 0  # since the first in the queue came into it
    overdue: float = 0  # since the clock should have moved a job; 0: none
    workers: int = 1
    dead: int = 0
    deferred: Deferred = Deferred()

    @property
    def waiting(self) -> int:
        """Jobs that are in the queue, or are tried again; of these as many as were counted."""
        return self.queued + self.deferred.count.number

    @property
    def waits(self) -> float:
        """How long the one has waited that has waited for longest."""
        return max(self.oldest if self.queued else 0.0, self.deferred.seconds)


ReceiverState: TypeAlias = Literal["told", "rests", "gone"]


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the verdict looks at. Moments are Unix seconds."""

    now: float
    redis_fault: str = ""  # what is wrong with it, and what to do; "": it answers
    ledger_fault: str = ""
    events: QueueFacts | None = QueueFacts()  # None: Redis could not be read
    effects: QueueFacts | None = QueueFacts()
    paused: bool = False
    lagging: Count = NONE  # users whose events wait for longer than they should
    last_event: int | None = None  # when Stripe made the newest that the ledger has
    last_delivery: int | None = None  # None: not known; 0: there was none yet
    stripe_rests: bool = False  # it was slow to fail, and is left alone for a while
    receivers: tuple[tuple[str, ReceiverState], ...] = ()  # `callback`, `subscriber`, `stream`
