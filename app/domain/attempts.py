"""A session's failed attempts: a set that grows, in which each stands once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.domain.snapshot import Snapshot

# A failed attempt that an API answer shows without a report has no time of its own: it counts as
# one, and only while no event has told of the same session's attempts.
UNTIMED_ATTEMPT = ""

# "User-session failures", as Stripe's package calls them. No check of a report has a code for them:
# an attempt that ends in one makes no report, and the last one that its session shows is an
# earlier attempt's. Our reading.
ERRORS_WITHOUT_REPORT = frozenset(
    {
        "abandoned",
        "consent_declined",
        "country_not_supported",
        "device_not_supported",
        "under_supported_age",
    }
)
# What the person, or their device, did before anything was checked: it does not count against
# MAX_ATTEMPTS.
FREE_ERRORS = frozenset({"abandoned", "consent_declined", "device_not_supported"})


class FailedAttempt(NamedTuple):
    """When an attempt failed, and of what."""

    at: int  # Unix seconds
    code: str
    entered: bool  # an event told of its failing; an API answer only shows that it had failed

    @property
    def order(self) -> tuple[bool, int, bool, str]:
        """The least wins: what an event told, then the first of it, then what counts."""
        return (not self.entered, self.at, not self.counts, self.code)

    @property
    def counts(self) -> bool:
        """Whether it counts against MAX_ATTEMPTS."""
        return self.code not in FREE_ERRORS


NO_ATTEMPTS: Mapping[str, FailedAttempt] = {}


def failed_attempts(
    snapshot: Snapshot, *, as_of: int, entered: bool, reported_at: int | None = None
) -> Mapping[str, FailedAttempt]:
    """The failed attempt that a snapshot shows, by what tells it from others; {} if it shows none.

    `entered` says that an event tells of it, whose time is the attempt's; `reported_at` is when
    its report was made, in Unix seconds, where an API answer shows that.
    """
    code = snapshot.last_error_code
    if snapshot.status != "requires_input" or code is None:
        return NO_ATTEMPTS
    if snapshot.report is not None and code not in ERRORS_WITHOUT_REPORT:
        name = snapshot.report
        if reported_at is not None:
            return {name: FailedAttempt(reported_at, code, entered)}
    else:
        name = f"at-{as_of}" if entered else UNTIMED_ATTEMPT
    # An answer counts for the second before its Date, and what it shows was so in that of its Date.
    return {name: FailedAttempt(as_of if entered else as_of + 1, code, entered)}


def join_attempts(
    one: Mapping[str, FailedAttempt], other: Mapping[str, FailedAttempt]
) -> Mapping[str, FailedAttempt]:
    """The attempts of both."""
    if not other or one == other:
        return one
    joined = dict(one)
    for name, attempt in other.items():
        known = joined.get(name)
        if known is None or attempt.order < known.order:
            joined[name] = attempt
    return joined


def each_once(attempts: Mapping[str, FailedAttempt]) -> list[FailedAttempt]:
    """Those that count as one each."""
    timed = [attempt for name, attempt in attempts.items() if name != UNTIMED_ATTEMPT]
    return timed or list(attempts.values())
