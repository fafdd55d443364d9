"""Operations that tests start, as a person would: previewed first."""

from __future__ import annotations

import itertools
from typing import Any

from app.ledger.operations import Kind, Operation
from app.operations.bulk.preview import OperationPreview, preview_operation
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import start_operation
from app.operations.dlq.selection import Selection
from tests.support.deployment import Deployment
from tests.support.workers import NOW

EVENTS = LetterSet("events")
_numbers = itertools.count(1)


def meant(**filters: Any) -> LetterSet:
    """Dead events, by filters."""
    return LetterSet("events", Selection(**filters))


def previewed(
    deployment: Deployment, selection: LetterSet = EVENTS, kind: Kind = "replay"
) -> OperationPreview:
    return preview_operation(deployment.stores, kind, selection, NOW)


def started(
    deployment: Deployment, selection: LetterSet = EVENTS, kind: Kind = "replay", **asked: Any
) -> Operation:
    """Previewed and started at once, unless `digest` is of an earlier preview."""
    if "digest" not in asked:
        asked["digest"] = previewed(deployment, selection, kind).digest
    usual = {"reason": "mended", "rate": None, "who": "anna", "via": "cli", "now": NOW}
    return start_operation(
        deployment.stores,
        kind=kind,
        selection=selection,
        new_id=lambda: f"{next(_numbers):04x}",
        **{**usual, **asked},
    )
