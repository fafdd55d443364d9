"""What a handler may ask for, and what it is given to decide on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from app.domain.reference import Standing
from app.domain.session import Observation, Session

# "Most verification checks take less than one minute" (Stripe): a quarter of an hour is overdue.
PROCESSING_CHECK_BACK = 15 * 60
# An API answer counts for the second before its Date, so it outranks the tied second from +2 on.
TIE_CHECK_BACK = 3
DAY = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the team's own system of the reference's new standing."""

    kind: ClassVar[str] = "notify"
    after: int = 0  # seconds to wait


@dataclass(frozen=True, slots=True)
class CheckBack:
    """Ask Stripe what is true of the session, and merge the answer."""

    after: int
    kind: ClassVar[str] = "check_back"


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


Effect = Notify | CheckBack | Cancel | Redact | Purge


@dataclass(frozen=True, slots=True)
class Policy:
    """What the team has switched on."""

    check_back: bool = True  # off where there is no API key to ask with
    notify: bool = False
    max_attempts: int | None = None
    redact_after_days: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an observation did: its session and its reference's standing, before and after.

    The standings are None for an orphan, and `before` is None for what was never seen.
    """

    observation: Observation
    session_before: Session | None
    session: Session
    standing_before: Standing | None
    standing: Standing | None
    policy: Policy

    @property
    def standing_changed(self) -> bool:
        """Whether the reference now stands otherwise than before the observation."""
        return self.standing is not None and self.standing != self.standing_before


def tell(change: Change) -> list[Effect]:
    """The team hears of a changed standing: what every handler asks for, and all that some do."""
    return [Notify()] if change.policy.notify and change.standing_changed else []


@dataclass(frozen=True, slots=True)
class EffectRow:
    """An effect as the ledger keeps it and the effects worker runs it."""

    id: str
    kind: str
    account: str
    livemode: bool
    session_id: str
    reference: str | None
    version: int | None  # the standing's version that asked for it
    due: int  # Unix seconds

    @classmethod
    def asked(
        cls, kind: str, session_id: str, account: str, livemode: bool, *, mark: str, now: int
    ) -> EffectRow:
        """An effect on a session that no observation asked for, due at once.

        `mark` tells it from others of its kind on the session. It names no reference: only a
        notification is about one.
        """
        id = f"{session_id}-{mark}-{kind}"
        return cls(id, kind, account, livemode, session_id, None, None, due=now)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form for the queue."""
        return {name: getattr(self, name) for name in self.__slots__}
