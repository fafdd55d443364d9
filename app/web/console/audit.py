"""`/console/audit`: who changed what, or was refused it, newest first."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from app.domain.standing import ReferenceKey
from app.ledger.audit import AuditEntry
from app.web.console.console import Console
from app.web.console.filters import BadFilter, address
from app.web.console.page import View, page

PATH = "/console/audit"
ROWS = 50
FILTERS = ("who", "action")
MAX_TEXT = 200
# How a result is marked, beside its word.
KINDS = {"done": "ok", "refused": "warn"}


def routes(console: Console) -> list[Route]:
    """The one page."""
    return page(console, "/audit", lambda request: list_entries(console, request))


def list_entries(console: Console, request: Request) -> View:
    """A page of the entries, of one person or of one action if that is asked for.

    Raises BadFilter.
    """
    given = request.query_params
    filters = {name: text for name in FILTERS if (text := given.get(name, "").strip())}
    if any(len(text) > MAX_TEXT or not text.isprintable() for text in filters.values()):
        raise BadFilter("who and action are names")
    found = console.stores.audit.page(_id_in(given), ROWS + 1, **filters)
    shown = found[:ROWS]
    more = len(found) > ROWS
    return View(
        "audit.html",
        "Audit",
        {"data": [asdict(entry) for entry in shown], "has_more": more},
        {
            "rows": [_row_of(entry) for entry in shown],
            "filters": filters,
            "next_url": address(PATH, {**filters, "before": str(shown[-1].id)}) if more else None,
        },
    )


def reference_of(entry: AuditEntry) -> ReferenceKey | None:
    """The user that an entry is about; None if it is about none, or one who was forgotten."""
    target = entry.target
    reference = target.get("reference")
    if reference is None:
        return None
    livemode = target.get("livemode") == "true"
    return ReferenceKey(
        target.get("account") or "", livemode, reference, target.get("purpose") or ""
    )


def _row_of(entry: AuditEntry) -> dict[str, Any]:
    word = entry.result.partition(":")[0]
    return {"entry": entry, "reference": reference_of(entry), "kind": KINDS.get(word, "bad")}


def _id_in(given: Any) -> int | None:
    text = given.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadFilter("before is the id of an entry")
    return int(text)
