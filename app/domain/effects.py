"""What a handler may ask for: something to do after the commit (the transactional outbox)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from app.domain.durations import HOUR, MINUTE
from app.domain.errors import UnreadableEffect
from app.domain.snapshot import SessionKey

# "Most verification checks take less than one minute" (Stripe): a quarter of an hour is overdue.
PROCESSING_OVERDUE = 15 * MINUTE
# The answer to a call of under a second counts for two seconds before its Date (`api_answer`): it
# outranks the tied second from +3 on, and that of one of under two seconds from +4 on.
TIE_RECHECK_AFTER = 4
# An effect comes into the queue an hour before it is due; until then it waits in the ledger alone:
# what Redis holds is memory.
QUEUED_AHEAD = HOUR
# The statuses of an effect that a worker does. The ledger calls a dead one `failed` still when RQ's
# own tools have put it back.
TO_BE_DONE = frozenset({"pending", "failed"})


@dataclass(frozen=True, slots=True)
class Notify:
    """Notify the team's own system of the reference's new standing."""

    kind: ClassVar[str] = "notify"
    after: int = 0  # seconds to wait


@dataclass(frozen=True, slots=True)
class Recheck:
    """Ask Stripe what is true of the session, and merge the answer."""

    after: int
    kind: ClassVar[str] = "recheck"


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an open session at Stripe: the person has used up MAX_ATTEMPTS."""

    session: SessionKey
    kind: ClassVar[str] = "cancel"
    after: int = 0


@dataclass(frozen=True, slots=True)
class Purge:
    """Remove the queue's and the dead letters' copies of a redacted session's events."""

    kind: ClassVar[str] = "purge"
    after: int = 0


Effect = Notify | Recheck | Cancel | Purge

# What no handler asks for, but a person or the clock: redact the session at Stripe, at once or if
# REDACT_AFTER_DAYS says so when it is done.
REDACT, REDACT_DUE = "redact", "redact_due"
# What a thin event asks for: ask Stripe for the session, as it is shown by no event.
RETRIEVE = "retrieve"


def effect_id(cause: str, kind: str, *parts: str) -> str:
    """The id of an effect: the same cause asks for the same effect once, however often it comes.

    `parts` tell it from others of its cause and kind.
    """
    return "-".join((cause, kind, *parts))


@dataclass(frozen=True, slots=True)
class PendingEffect:
    """An effect as the ledger keeps it and the effects worker runs it."""

    id: str
    kind: str
    account: str
    livemode: bool
    session_id: str
    # Of what is notified. A digest: what waits, or dies, names nobody.
    reference_key: str | None
    version: int | None  # the version of the standing that asked for it
    due: int  # Unix seconds

    @classmethod
    def on_session(
        cls, kind: str, session: SessionKey, *, occasion: str, now: int
    ) -> PendingEffect:
        """An effect on a session that no observation asked for, due at once.

        `occasion` tells it from others of its kind on the session.
        """
        return cls(
            id=effect_id(f"{session.id}-{occasion}", kind),
            kind=kind,
            account=session.account,
            livemode=session.livemode,
            session_id=session.id,
            reference_key=None,
            version=None,
            due=now,
        )

    @classmethod
    def of_thin_event(cls, event_id: str, session: SessionKey, now: int) -> PendingEffect:
        """What a thin event asks for, due at once: that its session is retrieved."""
        return cls(
            id=effect_id(event_id, RETRIEVE),
            kind=RETRIEVE,
            account=session.account,
            livemode=session.livemode,
            session_id=session.id,
            reference_key=None,
            version=None,
            due=now,
        )

    @property
    def cause(self) -> str:
        """What asked for it, of an effect that has no further parts in its id."""
        return self.id.removesuffix(effect_id("", self.kind))

    @property
    def session(self) -> SessionKey:
        """The session that it is about."""
        return SessionKey(self.session_id, self.account, self.livemode)

    def pack(self) -> list[Any]:
        """The JSON-able values of its fields in their order, for the queue."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def unpack(cls, values: Any) -> PendingEffect:
        """The effect of `pack`. Raises UnreadableEffect for values of another form."""
        if not isinstance(values, list) or len(values) != len(cls.__slots__):
            raise UnreadableEffect("the queued effect does not have the fields of this version")
        return cls(*values)
