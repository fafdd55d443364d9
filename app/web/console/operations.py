"""`/console/operations`: what was asked for in bulk, how far it has come, and to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from threading import Lock
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from app.ledger.operations import Operation, Operations
from app.operations.bulk.start import stop_operation
from app.operations.overview.reading import Kept
from app.web.console.console import Console
from app.web.console.filters import BadFilter, address
from app.web.console.page import Done, NotFound, View, action, page
from app.web.console.people import Role

PATH = "/console/operations"
ROWS = 50
MAX_ID = 100
# Seconds for which an operation is kept for the pages that follow it, and how many are.
FOLLOWED_KEPT, MAX_FOLLOWED = 2.0, 50


class Followed:
    """Operations that pages read again and again: once for all who look on."""

    def __init__(self, operations: Operations) -> None:
        """`operations` are the ledger's."""
        self._operations = operations
        self._lock = Lock()
        self._kept: dict[str, Kept[Operation | None]] = {}

    def get(self, id: str) -> Operation | None:
        """The operation as it was some seconds ago at most; None if there is none."""
        with self._lock:
            # What is asked for is last, so that the first is what nobody follows any more.
            kept = self._kept.pop(id, None) or Kept(
                partial(self._operations.get, id), FOLLOWED_KEPT
            )
            self._kept[id] = kept
            if len(self._kept) > MAX_FOLLOWED:
                del self._kept[next(iter(self._kept))]
        return kept.get()


def routes(console: Console) -> list[Route]:
    """The list, one operation, and the end of it."""
    followed = Followed(console.stores.operations)
    return [
        *page(console, "/operations", lambda request: list_operations(console, request)),
        *page(
            console, "/operations/{id}", lambda request: show_operation(console, request, followed)
        ),
        action(
            console,
            "/operations/{id}/stop",
            "stop_operation",
            lambda request, form, person: stop(console, request),
            role=Role.OPERATE,
        ),
    ]


def list_operations(console: Console, request: Request) -> View:
    """A page of the operations, newest first. Raises BadFilter."""
    before = request.query_params.get("before") or None
    if before is not None and not _is_id(before):
        raise BadFilter("before is the id of an operation")
    found = console.stores.operations.page(before, ROWS + 1)
    shown = found[:ROWS]
    more = len(found) > ROWS
    return View(
        "operations.html",
        "Operations",
        {"data": [operation.as_json() for operation in shown], "has_more": more},
        {
            "rows": [row_of(operation) for operation in shown],
            "next_url": address(PATH, {"before": shown[-1].id}) if more else None,
        },
    )


def show_operation(console: Console, request: Request, followed: Followed) -> View:
    """One operation with its progress. Raises NotFound."""
    # A page that follows it, and not a person who has just come or pressed a button: browsers say
    # so, and no page can have them say otherwise.
    again = request.headers.get("sec-fetch-dest") == "empty"
    operation = _found(followed if again else console.stores.operations, request)
    return View(
        "operation.html",
        f"Operation {operation.id}",
        operation.as_json(),
        {"row": row_of(operation), "which": _which(operation.selection)},
    )


def stop(console: Console, request: Request) -> Done:
    """Have the workers stop it after what they have begun. Raises NotFound."""
    id = _found(console.stores.operations, request).id
    stop_operation(console.stores, id, int(console.now()))
    return Done(f"{PATH}/{id}", {"operation": id})


def row_of(operation: Operation) -> dict[str, Any]:
    """An operation as a table shows it."""
    return {
        "operation": operation,
        "url": f"{PATH}/{operation.id}",
        "ended": operation.done + operation.gone,
        "kind": KINDS[operation.state],
    }


# How a state is marked, beside its word.
KINDS = {"running": "ok", "stopping": "warn", "stopped": "off", "done": "ok", "failed": "bad"}


def _which(selection: Mapping[str, Any]) -> str:
    """The letters that were chosen, in words."""
    ids = selection.get("ids")
    if ids:
        return f"{len(ids)} by their ids: {', '.join(ids)}"
    return ", ".join(f"{name} {value}" for name, value in selection.items()) or "all"


def _found(operations: Operations | Followed, request: Request) -> Operation:
    id = request.path_params["id"]
    operation = operations.get(id) if _is_id(id) else None
    if operation is None:
        raise NotFound("there is no operation of this id")
    return operation


def _is_id(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= MAX_ID
