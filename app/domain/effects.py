"""What a handler may ask for: something to do after the commit (the transactional outbox)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from app.domain.durations import MINUTE
from app.domain.errors import UnreadableEffect
from app.domain.snapshot import SessionKey

# "Most verification checks take less than one minute" (Stripe): a quarter of an hour is overdue.
PROCESSING_OVERDUE = 15 * MINUTE
# An API answer counts for the second before its Date, so it outranks the tied second from +2 on.
TIE_RECHECK_AFTER = 3


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
    """Cancel the session at Stripe: the person has used up MAX_ATTEMPTS."""

    kind: ClassVar[str] = "cancel"
    after: int = 0


@dataclass(frozen=True, slots=True)
class Redact:
    """Redact the session at Stripe."""

    after: int
    kind: ClassVar[str] = "redact"


@dataclass(frozen=True, slots=True)
class Purge:
    """Remove the queue's and the dead letters' copies of a redacted session's events."""

    kind: ClassVar[str] = "purge"
    after: int = 0


Effect = Notify | Recheck | Cancel | Redact | Purge


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
    reference: str | None
    version: int | None  # the version of the standing that asked for it
    due: int  # Unix seconds

    @classmethod
    def on_session(
        cls, kind: str, session: SessionKey, *, occasion: str, now: int
    ) -> PendingEffect:
        """An effect on a session that no observation asked for, due at once.

        `occasion` tells it from others of its kind on the session. It names no reference: only a
        notification is about one.
        """
        return cls(
            id=effect_id(f"{session.id}-{occasion}", kind),
            kind=kind,
            account=session.account,
            livemode=session.livemode,
            session_id=session.id,
            reference=None,
            version=None,
            due=now,
        )

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
