"""A page of the orphans as HTTP and the command line give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.session import Session
from app.ledger.orphans import Orphans
from app.operations.show_reference import session_as_json


@dataclass(frozen=True, slots=True)
class OrphanPage:
    """Some orphans, by id."""

    sessions: tuple[Session, ...]
    has_more: bool

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        data = [{**session_as_json(one), "account": one.snapshot.account} for one in self.sessions]
        return {"data": data, "has_more": self.has_more}


def orphan_page(orphans: Orphans, *, livemode: bool, limit: int, after: str) -> OrphanPage:
    """The first `limit` after the session `after`. Raises the ledger's errors."""
    found = orphans.list(livemode, limit + 1, after)
    return OrphanPage(tuple(found[:limit]), len(found) > limit)
