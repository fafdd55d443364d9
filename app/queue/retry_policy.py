"""What to do with a job that failed: the one table of what passes with time, and what does not."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from rq.timeouts import JobTimeoutException

from app.domain.errors import IdentityError, Permanent, Retry, Transient

# 2 s doubling up to an hour, 20 attempts: the last is made about nine hours after the first.
FIRST_DELAY = 2
MAX_DELAY = 3600
MAX_ATTEMPTS = 20
# A host that stood still makes any job late once; a job that is late again is too slow itself.
MAX_TIMEOUTS = 2


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Try again after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Bury:
    """Put it to the dead letters."""

    reason: str  # permanent_error, attempts_exhausted or timed_out; `rescue` adds crashed_worker


# The first class that fits decides. What is in no row is a fault in code, which does not pass.
TABLE: tuple[tuple[type[BaseException], str], ...] = (
    (Transient, "transient"),
    (Permanent, "permanent"),
    (JobTimeoutException, "timeout"),
    (ConnectionError, "transient"),
    (TimeoutError, "transient"),
    (Exception, "permanent"),
)


def decide(error: Exception, attempts: int, chance: float) -> RetryLater | Bury:
    """What to do after `error`, with `attempts` made before this one.

    `chance`, from 0 to 1, spreads the delay over its upper half, so that jobs that failed together
    do not come back together.
    """
    kind = next(kind for row, kind in TABLE if isinstance(error, row))
    made = attempts + 1
    if kind == "permanent":
        return Bury("permanent_error")
    if kind == "timeout" and made >= MAX_TIMEOUTS:
        return Bury("timed_out")
    if made >= MAX_ATTEMPTS:
        return Bury("attempts_exhausted")
    delay = min(FIRST_DELAY * 2 ** (made - 1), MAX_DELAY) * (0.5 + chance / 2)
    # A receiver or subscriber may ask for more time, not for less.
    return RetryLater(max(delay, error.after) if isinstance(error, Retry) else delay)


def describe(error: Exception) -> tuple[str, str]:
    """The error's class and a message that holds no personal datum.

    Our own errors' texts are built from ids and codes. Of any other, whose text may quote a row or
    an argument, only the place is told.
    """
    name = type(error).__name__
    if isinstance(error, IdentityError):
        return name, str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return name, "raised"
    place = frames[-1]
    return name, f"raised in {place.name} ({Path(place.filename).name}:{place.lineno})"
