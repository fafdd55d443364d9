"""A user's page: how they stand, what has led to it, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.routing import Route

from app.domain.arrival import way_of
from app.domain.errors import Rejected, StoreFailure
from app.domain.fields import usable_reference
from app.domain.reconcile import TimelineLine
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.domain.wording import attempts_in_words, next_step_in_words, status_in_words
from app.ledger.ledger import MAX_TIMELINE_LINES
from app.ledger.look_ups import LookUps
from app.ledger.rows import ReferenceRecord
from app.operations.allow_attempt import MAX_REASON, allow_attempt, usable_reason
from app.operations.backfilled import backfilled_of
from app.operations.redact_reference import redact_reference
from app.operations.refresh_reference import refresh_reference
from app.operations.show_reference import as_json, unknown_reference
from app.web.console.console import Console
from app.web.console.forms import Form
from app.web.console.page import action, confirmed, page
from app.web.console.people import Person, Role
from app.web.console.templating import reference_url
from app.web.console.verification_sessions import action_url, failed_events, session_url
from app.web.console.views import Done, NotFound, View
from app.web.parameters import BadParameter
from app.web.references import account_of, livemode_in, purpose_in

# What the page shows at once, which has to stay small: `.json` has as much as the command line.
SHOWN_SESSIONS = 20
SHOWN_LINES = 50
MAX_TITLE = 60  # characters of a reference in the title

# What an action has come to, by the code in the address to which it leads.
DONE = {
    "changed": "Stripe was asked, and the standing has changed.",
    "unchanged": "Stripe was asked: the standing is as it was.",
    "incomplete": "Stripe was asked about some sessions: there are too many for one question.",
    "granted": "One more attempt is granted. Your app has to start another session.",
    "redacting": "Redaction is asked for. Stripe takes up to four days.",
    "redacted": "Nothing to do: all sessions are redacted, or will be.",
    "claimed": "The session counts for this user.",
}


def routes(console: Console) -> list[Route]:
    """The page, and what can be done there."""
    pages = References(console)
    one = "/references/{reference:reference}"
    return [
        action(console, one + "/ask", "refresh_reference", pages.ask, role=Role.OPERATE),
        action(console, one + "/allow", "allow_attempt", pages.allow, role=Role.OPERATE),
        action(console, one + "/redact", "redact_reference", pages.redact, role=Role.REDACT),
        *page(console, one, pages.read),
    ]


def path_of(key: ReferenceKey, **query: str | int) -> str:
    """The address of a user's page."""
    return f"{reference_url(key)}&{urlencode(query)}" if query else reference_url(key)


def target_of(key: ReferenceKey) -> dict[str, str]:
    """What the audit is told of whom it is about."""
    return {
        "reference": key.reference,
        "livemode": str(key.livemode).lower(),
        "account": key.account,
        "purpose": key.purpose,
    }


class References:
    """What the page shows, and what its buttons do."""

    def __init__(self, console: Console) -> None:
        """The stores are the console's own."""
        self._console = console
        self._stores = console.stores
        self._look_ups = LookUps(console.stores.engine)

    def read(self, request: Request) -> View:
        """The record, as `references show --json` gives it; an older part of the timeline if asked.

        Raises NotFound, BadParameter and the ledger's errors.
        """
        key = self._key_in(request)
        record = self._stores.ledger.read_reference(
            key.reference, account=key.account, livemode=key.livemode, purpose=key.purpose
        )
        if record is None:
            raise self._unknown()
        before = number_in(request.query_params, "before")
        found = self._look_ups.timeline(key, before=before, limit=MAX_TIMELINE_LINES)
        record = replace(record, timeline=tuple(one.line for one in reversed(found)))
        lines = found[:SHOWN_LINES]
        extra = {
            **self._words(key, record),
            "lines": self._ways([one.line for one in lines]),
            "older": path_of(key, before=lines[-1].number) if len(found) > len(lines) else None,
            "newest": None if before is None else path_of(key),
            "done": DONE.get(request.query_params.get("done", "")),
        }
        title = f"{key.reference[:MAX_TITLE]}: {record.standing.status}"
        return View("reference.html", title, as_json(record), extra)

    def ask(self, request: Request, form: Form, person: Person) -> Done:
        """Ask Stripe about all sessions of the user. Raises what `refresh_reference` does."""
        key = self._key_at_stripe(request)
        refreshed = refresh_reference(self._stores, key, int(self._console.now()))
        if refreshed is None:
            raise self._unknown()
        done = "changed" if refreshed.changed else "unchanged"
        done = done if refreshed.complete else "incomplete"
        return Done(path_of(key, done=done), target_of(key))

    def allow(self, request: Request, form: Form, person: Person) -> Done:
        """Grant one more attempt than MAX_ATTEMPTS. Raises Rejected without a reason."""
        key = self._key_in(request)
        reason = reason_in(form)
        now = int(self._console.now())
        if allow_attempt(self._stores, key, why=reason, now=now) is None:
            raise self._unknown()
        return Done(path_of(key, done="granted"), target_of(key), reason)

    def redact(self, request: Request, form: Form, person: Person) -> Done:
        """Have all sessions of the user redacted, for every purpose. This cannot be undone.

        Raises NotConfirmed unless the reference was typed, Rejected without a reason.
        """
        key = self._key_at_stripe(request)
        reason = reason_in(form)
        confirmed(form, key.reference.strip())
        redactions = redact_reference(
            self._stores,
            key.reference,
            account=key.account,
            livemode=key.livemode,
            now=int(self._console.now()),
        )
        if not redactions:
            raise self._unknown()
        done = "redacting" if any(one.requested for one in redactions) else "redacted"
        return Done(path_of(key, done=done), target_of(key), reason)

    def _words(self, key: ReferenceKey, record: ReferenceRecord) -> Mapping[str, Any]:
        standing = record.standing
        purposes = self._stores.ledger.purposes_of(
            key.reference, account=key.account, livemode=key.livemode
        )
        others = [key._replace(purpose=one) for one in purposes if one != key.purpose]
        shown = record.sessions[:SHOWN_SESSIONS]
        return {
            "key": key,
            "jobs": failed_events(self._stores, [session.id for session in shown]),
            "status": status_in_words(standing.status),
            "next_step": next_step_in_words(standing.next_step),
            "attempts": attempts_in_words(standing, self._stores.settings.max_attempts),
            "sessions": as_json(record)["sessions"][:SHOWN_SESSIONS],
            "action_url": partial(action_url, reference_url(key)),
            "session_url": lambda of: session_url(SessionKey(of, key.account, key.livemode)),
            "other_purposes": [(one.purpose or "the default one", path_of(one)) for one in others],
            "can_ask": self._stores.stripe_for(key.livemode) is not None,
        }

    def _ways(self, lines: list[TimelineLine]) -> list[tuple[TimelineLine, str]]:
        """The lines, each with the way that it came."""
        ids = {line.event_id for line in lines if line.event_id is not None}
        try:
            backfilled = backfilled_of(self._stores.redis, ids)
        except StoreFailure:  # the ledger has all else
            backfilled = frozenset()
        return [(line, way_of(line, backfilled=line.event_id in backfilled)) for line in lines]

    def _key_in(self, request: Request) -> ReferenceKey:
        """Whom the address names. Raises NotFound, BadParameter."""
        reference = usable_reference(request.path_params["reference"])
        if reference is None:
            raise self._unknown()
        query = request.query_params
        livemode = livemode_in(query, self._stores.settings.livemode)
        return ReferenceKey(account_of(request, query), livemode, reference, purpose_in(query))

    def _key_at_stripe(self, request: Request) -> ReferenceKey:
        """The same, of a mode that Stripe can be asked about. Raises Misconfigured, Rejected."""
        key = self._key_in(request)
        self._stores.require_stripe()
        if key.livemode != self._stores.settings.livemode:
            raise Rejected("STRIPE_API_KEY is of the other mode")
        return key

    def _unknown(self) -> NotFound:
        return NotFound(unknown_reference("this mode and account, for this purpose"))


def reason_in(form: Form) -> str:
    """Why somebody does it. Raises Rejected if that is not said, or not in a few words."""
    reason = form.get("reason", "").strip()
    if not usable_reason(reason):
        raise Rejected(f"a reason of 1 to {MAX_REASON} characters is needed")
    return reason


def number_in(query: Mapping[str, str], name: str) -> int | None:
    """A number in the query, by which a page is asked for. Raises BadParameter."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadParameter(f"{name} has to be a number", param=name)
    return int(text)
