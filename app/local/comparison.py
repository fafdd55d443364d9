"""The ledger beside Stripe, user by user."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.standing import Standing
from app.local.sandbox_client import Truth


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reference at the end: its standing in the ledger, and what Stripe says."""

    reference: str
    standing: Standing | None
    truth: Truth

    @property
    def matches(self) -> bool:
        """Whether the ledger says what Stripe says."""
        standing = self.standing
        return standing is not None and self.truth == Truth(
            status=standing.status,
            session_id=standing.session_id or "",
            last_error=standing.last_error_code,
            attempts=standing.attempts,
            redaction=standing.redaction,
        )
