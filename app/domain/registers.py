"""What a session is a join of, beside its status: values of which the greater wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from app.domain.snapshot import Snapshot

REDACTIONS = (None, "validated", "processing", "redacted")


class Since(NamedTuple):
    """When a session came to a status: the second it was entered, or else was first seen."""

    entered: bool  # an event told of entering it
    at: int  # Unix seconds

    @property
    def order(self) -> tuple[bool, int]:
        """The greater wins: entered over seen; then the last entry, or the first sighting."""
        return (self.entered, self.at if self.entered else -self.at)


def join_since(one: Mapping[str, Since], other: Mapping[str, Since]) -> dict[str, Since]:
    """When each status that either knows was come to."""
    joined = dict(one)
    for status, since in other.items():
        known = joined.get(status)
        if known is None or known.order < since.order:
            joined[status] = since
    return joined


class ReferenceClaim(NamedTuple):
    """Which reference a session belongs to, for which purpose, and how strongly."""

    source: int
    as_of: int
    reference: str  # "" for none
    purpose_as_of: int
    purpose: str  # "" for the default one, which yields to any that is named

    @classmethod
    def of(cls, snapshot: Snapshot, reference_as_of: int, purpose_as_of: int) -> ReferenceClaim:
        """What a snapshot claims, if it names them as of these seconds; 0 if it does not."""
        return cls(
            snapshot.reference_source,
            reference_as_of,
            snapshot.reference or "",
            purpose_as_of,
            snapshot.purpose,
        )

    def join(self, other: ReferenceClaim) -> ReferenceClaim:
        """The greater reference, and the greater purpose: each is a register of its own."""
        named = self if self[:3] >= other[:3] else other
        if self[3:] == other[3:]:  # as almost always, and once an event
            return named
        return ReferenceClaim(*named[:3], *max(self[3:], other[3:]))


def redaction_order(redaction: str | None) -> tuple[int, str]:
    """What orders redactions: Stripe's own; one added since stands just before `redacted`."""
    if redaction in REDACTIONS:
        return (REDACTIONS.index(redaction) * 2, "")
    return (5, redaction or "")
