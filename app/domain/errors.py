"""The error tree, named by consequence. A class's docstring is what the operator is told."""

from __future__ import annotations


class IdentityError(Exception):
    """Something this product knows how to answer went wrong."""


class Misconfigured(IdentityError):
    """A setting is missing or wrong: correct the environment and start again."""

    def __init__(self, problems: list[str]) -> None:
        """`problems` holds one readable line for each setting."""
        super().__init__("; ".join(problems))
        self.problems = problems


class Rejected(IdentityError):
    """What was sent cannot be accepted, and sending it again will not help."""


class BadSignature(Rejected):
    """The delivery was not signed by Stripe with a secret we know, or is too old."""


class UnreadableEvent(Rejected):
    """The delivery is signed, but is not an event of the shape Stripe documents."""


class Conflict(Rejected):
    """What was asked for does not fit how the reference stands now."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is for programs: reference_verified, session_processing, attempts_exhausted."""
        super().__init__(message)
        self.code = code


class Transient(IdentityError):
    """It passes with time: tried again later by itself."""


class Retry(Transient):
    """Tried again after a time that was asked for."""

    def __init__(self, after: float, message: str = "asked to be tried again later") -> None:
        """`after` is in seconds, at least."""
        super().__init__(message)
        self.after = after


class QueueUnavailable(Transient):
    """Redis did not take or give a job: it is down, full, or out of reach."""


class Permanent(IdentityError):
    """It does not pass with time: put to the dead letters at once, for a person to look at."""


class UnreadableEffect(Permanent):
    """A job in Redis is not an effect that this version knows."""


class JobRefused(Permanent):
    """Redis refuses one job, though it takes others: look at what holds its key."""


class UnknownJobFunction(Permanent):
    """A job in Redis names a function that is not one of ours. It was not called."""
