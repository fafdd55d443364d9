"""Commands that change something: each leaves an entry in the audit, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import click

from app.cli.who import user_name
from app.configuration.settings import Settings
from app.domain.errors import Conflict, Rejected, StoreFailure
from app.operations.auditing import write_entry
from app.stores import Stores
from app.stripe.errors import StripeFailure

# Ids of a target that are written out; beyond that, their number says enough.
MAX_IDS = 20
NO_LEDGER = str(Settings().database_url)


@dataclass
class Entry:
    """What a command tells the audit while it works."""

    target: dict[str, str] = field(default_factory=dict)
    result: str = "done"
    changed: bool = True  # False: nothing was to be done

    def about(self, **ids: str | bool | None) -> None:
        """Say what it is about, by name; None and "" are left out."""
        for name, id in ids.items():
            if id not in (None, ""):
                self.target[name] = str(id).lower() if isinstance(id, bool) else str(id)


@contextmanager
def audited(
    stores: Stores, action: str, *, reason: str | None = None, **ids: str | bool | None
) -> Iterator[Entry]:
    """Record the block as `action` on `ids`, with its result and whoever runs the command.

    A wrong call and a "no" to a question are no entries: nothing was done. If the ledger takes no
    entry, the log says so; but not of a command that has failed, which says itself what is wrong.
    """
    entry = Entry()
    entry.about(**ids)
    try:
        yield entry
    except (click.UsageError, click.Abort):
        raise
    except BaseException as error:
        entry.result = result_of(error)
        with suppress(StoreFailure):
            stores.audit.record(**_values(action, reason, entry))
        raise
    if entry.changed:
        _record(stores, action, reason, entry)


def result_of(error: BaseException) -> str:
    """What came of a command, by what it raised: `refused: reference_verified`, in codes."""
    match error:
        case KeyboardInterrupt():
            return "failed: interrupted"
        case Conflict() | StoreFailure():
            code = error.code
        case StripeFailure():
            code = f"{error.status or ''} {error.code or ''}".strip() or "no answer"
        case click.ClickException() | SystemExit():
            return "failed"
        case _:
            code = type(error).__name__
    return f"{'refused' if _is_refusal(error) else 'failed'}: {code}"


def ids_of(ids: Sequence[str]) -> str:
    """The first of some ids, and how many there are beyond."""
    more = f" and {len(ids) - MAX_IDS} more" if len(ids) > MAX_IDS else ""
    return ", ".join(ids[:MAX_IDS]) + more


def _is_refusal(error: BaseException) -> bool:
    if isinstance(error, StripeFailure):
        return error.status is not None and 400 <= error.status < 500
    return isinstance(error, Rejected)


def _record(stores: Stores, action: str, reason: str | None, entry: Entry) -> None:
    if str(stores.settings.database_url) == NO_LEDGER:
        click.echo("DATABASE_URL is not set: the audit has no entry of this", err=True)
        return
    write_entry(stores.audit, **_values(action, reason, entry))


def _values(action: str, reason: str | None, entry: Entry) -> dict[str, Any]:
    return {
        "who": user_name(),
        "via": "cli",
        "action": action,
        "target": entry.target,
        "at": int(time.time()),
        "reason": reason or "",
        "result": entry.result,
    }
