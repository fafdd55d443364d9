"""What to do with a job that failed: the one table of what passes with time, and what does not."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import rq.timeouts
from rq.timeouts import JobTimeoutException

from app.domain.errors import IdentityError, Permanent, Retry, Transient
from app.tracebacks import is_written_here, place_of, source_of

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
    timed_out: bool = False  # the job itself took too long, which is counted


@dataclass(frozen=True, slots=True)
class Bury:
    """Put it to the dead letters."""

    reason: str  # one of REASONS


# Why a job is a dead letter; the last of them is `rescue`'s.
REASONS = ("permanent_error", "attempts_exhausted", "timed_out", "crashed_worker")

# RQ's, which raises when the time is over.
SIGNAL_HANDLER = rq.timeouts.__file__

# The first class that fits decides. What is in no row is a fault in code, which does not pass.
TABLE: tuple[tuple[type[BaseException], str], ...] = (
    (Transient, "transient"),
    (Permanent, "permanent"),
    (JobTimeoutException, "timeout"),
    (ConnectionError, "transient"),
    (TimeoutError, "transient"),
    (Exception, "permanent"),
)


def decide(error: Exception, attempts: int, chance: float, timeouts: int = 0) -> RetryLater | Bury:
    """What to do after `error`, with `attempts` made before this one, `timeouts` of them too long.

    `chance`, from 0 to 1, spreads the delay over its upper half, so that jobs that failed together
    do not come back together.
    """
    kind = next(kind for row, kind in TABLE if isinstance(error, row))
    made, timed_out = attempts + 1, kind == "timeout"
    if kind == "permanent":
        return Bury("permanent_error")
    if timed_out and timeouts + 1 >= MAX_TIMEOUTS:
        return Bury("timed_out")
    if made >= MAX_ATTEMPTS:
        return Bury("attempts_exhausted")
    delay = min(FIRST_DELAY * 2 ** (made - 1), MAX_DELAY) * (0.5 + chance / 2)
    # A receiver or subscriber may ask for more time, not for less.
    after = max(delay, error.after) if isinstance(error, Retry) else delay
    return RetryLater(after, timed_out)


def describe(error: Exception) -> tuple[str, str]:
    """The error's class and a message that holds no personal datum.

    Our own errors' texts are built from ids and codes. Of any other, whose text may quote a row or
    an argument, only the place is told; of a job that took too long, where it hung.
    """
    name = type(error).__name__
    if isinstance(error, IdentityError):
        return name, str(error)
    if not isinstance(error, JobTimeoutException):
        source = source_of(error)
        return name, f"raised in {source}" if source else "raised"
    frames = traceback.extract_tb(error.__traceback__)
    hung = [frame for frame in frames if frame.filename != SIGNAL_HANDLER]
    # The deepest that we or the team have written: that a socket was read says little.
    written = [frame for frame in hung if is_written_here(frame.filename)]
    for frame in (written or hung)[-1:]:
        return name, f"took too long, and was last in {place_of(frame)}"
    return name, "took too long"
