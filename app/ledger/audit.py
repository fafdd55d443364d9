"""The audit: who changed what, when, why, and with what result; and who was refused it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Engine, bindparam, insert, select

from app.domain.fields import usable_reference
from app.domain.standing import ReferenceKey
from app.ledger.engine import for_reading, translates_errors
from app.ledger.tables import audit, standings

Via = Literal["console", "api", "cli"]
# Characters of a text that is kept.
MAX_NAME, MAX_TEXT = 200, 1_000
# Above every id.
NEWEST = 2**63 - 1

RECORD = insert(audit).values(
    {column.name: bindparam(column.name) for column in audit.c if not column.primary_key}
)
# What an entry says of a user is read from the standing, so that the name stands in one place.
AUDIT_ENTRIES = (
    select(
        audit,
        standings.c.client_reference_id,
        standings.c.account,
        standings.c.livemode,
        standings.c.purpose,
    )
    .join_from(audit, standings, standings.c.key == audit.c.reference_key, isouter=True)
    .where(audit.c.id < bindparam("before"))
    .order_by(audit.c.id.desc())
    .limit(bindparam("rows"))
)
_BY = audit.c.who == bindparam("who")
_OF = audit.c.action == bindparam("action")
AUDIT_ENTRIES_BY = AUDIT_ENTRIES.where(_BY)
AUDIT_ENTRIES_OF = AUDIT_ENTRIES.where(_OF)
AUDIT_ENTRIES_BY_OF = AUDIT_ENTRIES.where(_BY, _OF)
BY_FILTERS = {
    frozenset[str](): AUDIT_ENTRIES,
    frozenset({"who"}): AUDIT_ENTRIES_BY,
    frozenset({"action"}): AUDIT_ENTRIES_OF,
    frozenset({"who", "action"}): AUDIT_ENTRIES_BY_OF,
}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did or tried."""

    id: int
    at: int  # Unix seconds
    who: str
    via: str  # console, api or cli
    action: str
    target: dict[str, str | None]  # ids by name; `reference` is None if the ledger has no such user
    reason: str  # "" if none was given
    result: str  # done, refused or failed; behind a colon, how


class Audit:
    """The part of the ledger that keeps the audit. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine, livemode: bool = False) -> None:
        """`engine` comes from `open_engine`; `livemode` is the mode of targets that name none."""
        self._engine = engine
        self._livemode = livemode
        self._reading = for_reading(engine)

    @translates_errors
    def record(
        self,
        *,
        who: str,
        via: Via,
        action: str,
        target: Mapping[str, str],
        at: int,
        reason: str = "",
        result: str = "done",
    ) -> None:
        """Keep an entry. `target` holds ids by name; `at` is in Unix seconds.

        Of a user, it holds `reference` (a client_reference_id), and `livemode` (true or false),
        `account` and `purpose`, each if it is not the usual one. The text of the reference is not
        kept: the standing has it. If the connection breaks just then, the entry may be there twice.
        """
        ids = dict(target)
        key = self._take_user(ids)
        values = {
            "at": at,
            "who": _kept(who, MAX_NAME),
            "via": via,
            "action": _kept(action, MAX_NAME),
            "target": json.dumps({name: _kept(id, MAX_TEXT) for name, id in ids.items()}),
            "reference_key": key,
            "reason": _kept(reason, MAX_TEXT),
            "result": _kept(result, MAX_NAME),
        }
        with self._engine.begin() as connection:
            connection.execute(RECORD, values)

    @translates_errors
    def page(
        self, before: int | None, limit: int, who: str | None = None, action: str | None = None
    ) -> list[AuditEntry]:
        """At most `limit` entries, newest first, older than the entry `before`."""
        given = {"before": NEWEST if before is None else before, "rows": limit}
        filters = {name: v for name, v in (("who", who), ("action", action)) if v is not None}
        statement = BY_FILTERS[frozenset(filters)]
        with self._reading.connect() as connection:
            return [_entry_of(row) for row in connection.execute(statement, given | filters)]

    def _take_user(self, ids: dict[str, str]) -> str | None:
        """Take what names a user out of `ids`; the key to find the user by, if there is one."""
        if "reference" not in ids:
            return None
        reference = usable_reference(ids.pop("reference"))
        mode = ids.pop("livemode", str(self._livemode).lower())
        account, purpose = ids.pop("account", ""), ids.pop("purpose", "")
        if reference is None:
            return ""
        return ReferenceKey(account, mode == "true", reference, purpose).digest


def _entry_of(row: Any) -> AuditEntry:
    target: dict[str, str | None] = json.loads(row.target)
    if row.reference_key is not None:
        target["reference"] = row.client_reference_id
    if row.client_reference_id is not None:
        target["livemode"] = str(row.livemode).lower()
        others = {"account": row.account, "purpose": row.purpose}
        target |= {name: value for name, value in others.items() if value}
    return AuditEntry(
        id=row.id,
        at=row.at,
        who=row.who,
        via=row.via,
        action=row.action,
        target=target,
        reason=row.reason,
        result=row.result,
    )


def _kept(text: str, most: int) -> str:
    """The text as any database holds it: cut, without a NUL or half of a surrogate pair."""
    return text[:most].replace("\0", "").encode(errors="replace").decode()
