"""Claim an orphan: make the session count for a reference, here and at Stripe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.configuration.settings import Settings
from app.domain.fields import usable_reference
from app.domain.session import Observation, Session
from app.domain.snapshot import LAST_METADATA_KEY, METADATA, SessionKey
from app.operations.apply import apply_observations
from app.stores import Stores
from app.stripe.errors import StripeRefused, StripeUnavailable

Outcome = Literal[
    "claimed", "already_claimed", "not_an_orphan", "unknown_session", "unusable_reference"
]
AtStripe = Literal["written", "refused", "unavailable", "not_asked"]

FAILURES = {
    "not_an_orphan": "names another reference already",
    "unknown_session": "is not in the ledger in this mode and account",
    "unusable_reference": "cannot be claimed for a reference that is empty, or over 5,000 long",
}
AT_STRIPE = {
    "written": "Stripe knows it too.",
    "refused": "Stripe did not take it into the session's metadata: the ledger alone knows.",
    "unavailable": "Stripe could not be told: run it again later.",
    "not_asked": "Stripe was not told: STRIPE_API_KEY is not set, or of the other mode.",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of one claim."""

    session_id: str
    reference: str
    outcome: Outcome
    at_stripe: AtStripe = "not_asked"
    status: str | None = None  # of the reference's standing now
    why: str | None = None  # what Stripe answered instead, in codes

    @property
    def counts(self) -> bool:
        """Whether the session counts for the reference."""
        return self.outcome in ("claimed", "already_claimed")


def summary(result: Claim) -> str:
    """What has come of it, for people."""
    if not result.counts:
        return f"{result.session_id} {FAILURES[result.outcome]}."
    counts = "counted for" if result.outcome == "already_claimed" else "counts for"
    already = " already" if result.outcome == "already_claimed" else ""
    why = f" ({result.why})" if result.why else ""
    return (
        f"{result.session_id} {counts} {result.reference}{already}, "
        f"which is {result.status} now. {AT_STRIPE[result.at_stripe]}{why}"
    )


def metadata_key_of(settings: Settings) -> str:
    """Where Stripe is to keep the reference: in the first of the team's keys, or else in ours."""
    return next(iter(settings.reference_metadata_keys), LAST_METADATA_KEY)


class Claims:
    """Claims orphans."""

    def __init__(self, stores: Stores, *, metadata_key: str, now: Callable[[], float]) -> None:
        """`metadata_key` is where Stripe is to keep the reference; `now` gives Unix seconds."""
        self._stores = stores
        self._metadata_key = metadata_key
        self._now = now

    def claim(self, session: SessionKey, reference: str) -> Claim:
        """Claim the session. A repeated claim changes nothing, but is written to Stripe again."""
        if usable_reference(reference) is None:
            return Claim(session.id, reference, "unusable_reference")
        stored = self._stores.ledger.read_session(session)
        if stored is None:
            return Claim(session.id, reference, "unknown_session")
        known = stored.snapshot
        ours = known.reference == reference and known.reference_source == METADATA
        if known.reference is not None and not ours:
            return Claim(session.id, reference, "not_an_orphan")
        outcome: Outcome = "already_claimed" if ours else self._apply(stored, reference)
        if outcome == "not_an_orphan":
            return Claim(session.id, reference, outcome)
        at_stripe, why = self._write(session, reference)
        return Claim(
            session.id,
            reference,
            outcome,
            at_stripe,
            self._status(session, reference, known.purpose),
            why,
        )

    def _apply(self, stored: Session, reference: str) -> Outcome:
        apply_observations([claimed(stored, reference)], self._stores, self._now())
        found = self._stores.ledger.read_session(stored.key)
        # A simultaneous claim, or an event that names a reference, may have won.
        won = found is not None and found.snapshot.reference == reference
        return "claimed" if won else "not_an_orphan"

    def _write(self, session: SessionKey, reference: str) -> tuple[AtStripe, str | None]:
        """Have Stripe send the reference with later events. The ledger knows it either way."""
        stripe = self._stores.stripe_for(session.livemode)
        if stripe is None:
            return "not_asked", None
        try:
            metadata = {"metadata": {self._metadata_key: reference}}
            stripe.update(session.id, metadata, session.account)
        except StripeUnavailable as error:
            return "unavailable", str(error)
        except StripeRefused as error:
            return "refused", str(error)
        return "written", None

    def _status(self, session: SessionKey, reference: str, purpose: str) -> str | None:
        record = self._stores.ledger.read_reference(
            reference, account=session.account, livemode=session.livemode, purpose=purpose
        )
        return None if record is None else record.standing.status


def claimed(session: Session, reference: str) -> Observation:
    """An operator's observation: the session as it is known, with its reference."""
    return Observation(
        name="claimed",
        snapshot=session.snapshot._replace(reference=reference, reference_source=METADATA),
        as_of=session.as_of,
        event_id="",
        transition=False,
    )
