"""A session's page: whose it is, what is known of it, and its cancellation."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from app.configuration.settings import Settings
from app.domain.attempts import each_once
from app.domain.errors import Rejected, StoreFailure
from app.domain.fields import ID
from app.domain.reconcile import reference_of
from app.domain.session import Session
from app.domain.snapshot import SessionKey
from app.ledger.look_ups import LookUps
from app.operations.cancel_session import cancel_session
from app.operations.show_reference import session_as_json
from app.stores import Stores
from app.web.console.console import Console
from app.web.console.forms import Form
from app.web.console.page import action, confirmed, page
from app.web.console.people import Person, Role
from app.web.console.views import Done, NotFound, View
from app.web.references import account_of, livemode_in

MAX_JOBS = 50  # that a page names
DONE = {
    "canceled": "The session is canceled.",
    "written": "The session counts for this user now, and Stripe knows it too.",
    "refused": "The session counts for this user now. Stripe did not take that into its metadata: "
    "the ledger alone knows.",
    "unavailable": "The session counts for this user now. Stripe could not be told: claim it again "
    "later.",
    "not_asked": "The session counts for this user now. Stripe was not told: STRIPE_API_KEY is not "
    "set, or of the other mode.",
}


def routes(console: Console) -> list[Route]:
    """The page, and what can be done there."""
    pages = VerificationSessionPages(console)
    one = "/sessions/{session_id}"
    return [
        action(console, f"{one}/cancel", "cancel", pages.cancel, role=Role.OPERATE),
        *page(console, one, pages.read),
    ]


def session_url(key: SessionKey, **query: str) -> str:
    """The address of a session's page."""
    named = {"livemode": str(key.livemode).lower()}
    named |= {"account": key.account} if key.account else {}
    return f"/console/sessions/{key.id}?{urlencode(named | query)}"


def action_url(page: str, name: str) -> str:
    """The address of a button on the page of this address."""
    path, _, query = page.partition("?")
    return f"{path}/{name}?{query}"


def session_target(key: SessionKey) -> dict[str, str]:
    """What the audit is told of which session it is about."""
    return {
        "session_id": key.id,
        "livemode": str(key.livemode).lower(),
        "account": key.account,
    }


class VerificationSessionPages:
    """What the page shows, and what its button does."""

    def __init__(self, console: Console) -> None:
        """The stores are the console's own."""
        self._console = console
        self._stores = console.stores
        self._look_ups = LookUps(console.stores.engine)

    def read(self, request: Request) -> View:
        """The session, as the record of its user shows it, and more.

        Raises NotFound, BadParameter and the ledger's errors.
        """
        key = session_in(request, self._stores.settings)
        session = self._stores.ledger.read_session(key)
        if session is None:
            raise NotFound("no session of this id is known in this mode and account")
        extra = {
            "key": key,
            "reference": reference_of(session),
            "jobs": failed_events(self._stores, [key.id]),
            "action_url": partial(action_url, session_url(key)),
            "done": DONE.get(request.query_params.get("done", "")),
            "open": session.status == "requires_input",
            "can_ask": self._stores.stripe_for(key.livemode) is not None,
        }
        missing = self._look_ups.is_missing(key)
        title = f"{session.id}: {session.status}"
        return View("session.html", title, _document(session, missing=missing), extra)

    def cancel(self, request: Request, form: Form, person: Person) -> Done:
        """Cancel the session at Stripe. Raises NotConfirmed, Misconfigured, StripeFailure."""
        key = session_in(request, self._stores.settings)
        confirmed(form, "cancel")
        self._stores.require_stripe()
        if key.livemode != self._stores.settings.livemode:
            raise Rejected("STRIPE_API_KEY is of the other mode")
        cancel_session(self._stores, key, self._console.now())
        return Done(session_url(key, done="canceled"), session_target(key))


def session_in(request: Request, settings: Settings) -> SessionKey:
    """The session that the address names. Raises NotFound, BadParameter."""
    id: str = request.path_params["session_id"]
    if not ID.match(id):
        raise NotFound("that is not the id of a session")
    query = request.query_params
    return SessionKey(id, account_of(request, query), livemode_in(query, settings.livemode))


def failed_events(stores: Stores, session_ids: Sequence[str]) -> list[tuple[str, str]] | None:
    """The sessions' events that are dead (`failed`) or deferred (`scheduled`), each once.

    None if Redis is away, where the ledger's part of a page is shown all the same.
    """
    try:
        states = stores.events.statuses(list(stores.events.held_of(session_ids))[:MAX_JOBS])
    except StoreFailure:
        return None
    return [(id, state) for id, state in states.items() if state is not None]


def _document(session: Session, *, missing: bool) -> dict[str, Any]:
    """The session for programs: as in its user's record, with whose it is and its attempts."""
    snapshot = session.snapshot
    return {
        **session_as_json(session, missing=missing),
        "account": snapshot.account,
        "livemode": snapshot.livemode,
        "client_reference_id": snapshot.reference,
        "purpose": snapshot.purpose,
        "as_of": session.as_of,
        "failed_attempts": [
            {"at": one.at, "code": one.code, "counts": one.counts}
            for one in sorted(each_once(session.failed_attempts))
        ],
    }
