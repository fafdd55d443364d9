"""Write down what somebody did; what the ledger does not take stands in the log instead."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.errors import StoreFailure
from app.ledger.audit import Audit, Via
from app.logs import get_logger

log = get_logger("audit")


def write_entry(
    audit: Audit,
    *,
    who: str,
    via: Via,
    action: str,
    target: Mapping[str, str],
    at: int,
    reason: str = "",
    result: str = "done",
) -> None:
    """Keep an entry, as `Audit.record` does. Raises nothing if the ledger is away.

    What it tells of has happened by then, and has to be answered as it was.
    """
    try:
        audit.record(
            who=who, via=via, action=action, target=target, at=at, reason=reason, result=result
        )
    except StoreFailure as failure:
        log.error(
            "not in the audit",
            who=who,
            via=via,
            action=action,
            target={name: id for name, id in target.items() if name != "reference"},
            result=result,
            error=str(failure),
        )
