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


class OtherMode(UnreadableEvent):
    """A signed event is of another mode than its secret, or than the session that it shows."""


class Conflict(Rejected):
    """What was asked for does not fit how the reference stands now."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is for programs: reference_verified, session_processing, attempts_exhausted."""
        super().__init__(message)
        self.code = code


class IdempotencyKeyReused(Rejected):
    """An idempotency key came with other parameters than before."""

    def __init__(self, key: str) -> None:
        """The message is Stripe's own, which quotes the key: it is for the caller only."""
        super().__init__(
            "Keys for idempotent requests can only be used with the same parameters they were "
            f"first used with. Try using a key other than '{key}' if you meant to execute a "
            "different request."
        )


class Transient(IdentityError):
    """It passes with time: tried again later by itself."""


class Retry(Transient):
    """Tried again after a time that was asked for."""

    def __init__(self, after: float, message: str = "asked to be tried again later") -> None:
        """`after` is in seconds, at least."""
        super().__init__(message)
        self.after = after


class OtherAccount(Transient):
    """STRIPE_API_KEY belongs to another Stripe account than the ledger: set the right one."""


class LaterRelease(Transient):
    """A later release of this product wrote the job: it is left for a worker of that release."""


class StoreFailure(IdentityError):
    """Redis or the ledger cannot be used: the text says which, what is wrong, and what to do."""

    store = ""  # which of the two, as the log names it

    def __init__(self, message: str, code: str = "unavailable", advice: str = "") -> None:
        """`message` says where and what; the text adds `advice`, which is what to do.

        `code` names the fault in one word that tells a stranger nothing of where it is.
        """
        super().__init__(f"{message}: {advice}" if advice else message)
        self.message = message
        self.code = code
        self.advice = advice


class QueueUnavailable(StoreFailure, Transient):
    """Redis did not take or give a job: it is down, full, or out of reach."""

    store = "Redis"


class Permanent(IdentityError):
    """It does not pass with time: put to the dead letters at once, for a person to look at."""


class QueueRefused(StoreFailure, Permanent):
    """Redis will not do what this process asks: its user has no right to it, or it is no Redis."""

    store = "Redis"


class KeyNeeded(Permanent):
    """A thin event shows nothing of its session: set STRIPE_API_KEY of its mode, and replay it."""


class UnreadableEffect(Permanent):
    """A job in Redis is not an effect that this version knows."""


class JobRefused(Permanent):
    """Redis refuses one job, though it takes others: look at what holds its key."""


class UnknownJobFunction(Permanent):
    """A job in Redis names a function that is not one of ours. It was not called."""
