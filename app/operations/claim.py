"""Claim an orphan: from now on the session counts for a reference, here and at Stripe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.domain.effects import EffectRow, Policy, tell
from app.domain.event import usable_reference
from app.domain.session import METADATA, Observation, Session
from app.ledger.ledger import Ledger
from app.ledger.upkeep import SessionKey
from app.stripe_api import StripeApi, StripeRefused, StripeUnavailable

Outcome = Literal[
    "claimed", "already_claimed", "not_an_orphan", "unknown_session", "unusable_reference"
]
AtStripe = Literal["written", "refused", "unavailable", "not_asked"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of one claim."""

    session_id: str
    reference: str
    outcome: Outcome
    at_stripe: AtStripe = "not_asked"
    status: str | None = None  # how the reference stands now
    why: str | None = None  # what Stripe answered instead, in codes

    @property
    def counts(self) -> bool:
        """Whether the session counts for the reference."""
        return self.outcome in ("claimed", "already_claimed")


class Claims:
    """Claims orphans of one account and mode."""

    def __init__(
        self,
        ledger: Ledger,
        stripe: StripeApi | None,
        *,
        metadata_key: str,
        policy: Policy,
        now: Callable[[], float],
        queue: Callable[[tuple[EffectRow, ...]], None],
    ) -> None:
        """`stripe` is None where there is no key of the sessions' mode.

        `metadata_key` is where Stripe is to keep the reference. `queue` takes the effects, which
        are committed: those that it drops are found by the clock.
        """
        self._ledger = ledger
        self._stripe = stripe
        self._metadata_key = metadata_key
        self._policy = policy
        self._now = now
        self._queue = queue

    def claim(self, session: SessionKey, reference: str) -> Claim:
        """Claim the session. A second time it changes nothing, but is written to Stripe again."""
        if usable_reference(reference) is None:
            return Claim(session.id, reference, "unusable_reference")
        stored = self._read(session)
        if stored is None:
            return Claim(session.id, reference, "unknown_session")
        ours = stored.reference == reference and stored.reference_source == METADATA
        if stored.reference is not None and not ours:
            return Claim(session.id, reference, "not_an_orphan")
        outcome: Outcome = "already_claimed" if ours else self._apply(stored, reference)
        if outcome == "not_an_orphan":
            return Claim(session.id, reference, outcome)
        at_stripe, why = self._write(session, reference)
        return Claim(
            session.id, reference, outcome, at_stripe, self._status(session, reference), why
        )

    def _apply(self, stored: Session, reference: str) -> Outcome:
        applied = self._ledger.apply(
            claimed(stored, reference), decide=tell, policy=self._policy, now=int(self._now())
        )
        if applied.effects:
            self._queue(applied.effects)
        found = self._read(SessionKey(stored.id, stored.account, stored.livemode))
        # Another's claim of the same moment, or an event that names a reference, may have won.
        return "claimed" if found and found.reference == reference else "not_an_orphan"

    def _write(self, session: SessionKey, reference: str) -> tuple[AtStripe, str | None]:
        """Have Stripe send the reference with later events. The ledger knows it either way."""
        if self._stripe is None:
            return "not_asked", None
        try:
            metadata = {"metadata": {self._metadata_key: reference}}
            self._stripe.update(session.id, metadata, session.account)
        except StripeUnavailable as error:
            return "unavailable", str(error)
        except StripeRefused as error:
            return "refused", str(error)
        return "written", None

    def _read(self, session: SessionKey) -> Session | None:
        return self._ledger.read_session(
            session.id, account=session.account, livemode=session.livemode
        )

    def _status(self, session: SessionKey, reference: str) -> str | None:
        record = self._ledger.read_reference(
            reference, account=session.account, livemode=session.livemode
        )
        return None if record is None else record.standing.status


def claimed(session: Session, reference: str) -> Observation:
    """What an operator says of a session: all as it is known, and whose it is."""
    return Observation(
        name="claimed",
        session_id=session.id,
        account=session.account,
        livemode=session.livemode,
        created=session.created,
        type=session.type,
        status=session.status,
        last_error_code=session.last_error_code,
        report=session.report,
        redaction=session.redaction,
        reference=reference,
        reference_source=METADATA,
        as_of=session.as_of,
        event_id="",
        transition=False,
    )
