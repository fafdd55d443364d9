"""Writes what people do in the console, and what they were refused, into the ledger's audit."""

from __future__ import annotations

from collections.abc import Mapping

from app.logs import get_logger
from app.operations.auditing import write_entry
from app.web.console.console import Console

log = get_logger("audit")


def audit(
    console: Console,
    who: str,
    action: str,
    target: Mapping[str, str],
    result: str,
    reason: str = "",
) -> None:
    """Keep who did what: `result` is done, refused or failed.

    The log has it first, without what may name a user. Where the ledger is away it is in the log
    alone: what was done is done, and to say that it failed would be false. So is what is refused
    over and over.
    """
    log.info("action in the console", action=action, person=who, result=result)
    if result == "refused" and not console.refused.allows():
        return
    write_entry(
        console.stores.audit,
        who=who,
        via="console",
        action=action,
        target=target,
        reason=reason,
        result=result,
        at=int(console.now()),
    )
