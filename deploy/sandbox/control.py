"""`/_sandbox`: how a test or a demonstration controls the sandbox. JSON in and out, no key.

`control_http` says how it is spoken to.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from starlette.routing import Route

from deploy.sandbox import params, session_params
from deploy.sandbox.accounts import OWN, Scope
from deploy.sandbox.chaos import Chaos
from deploy.sandbox.control_http import JSON, as_form, check, controlled, only
from deploy.sandbox.deliveries import Deliveries
from deploy.sandbox.errors import StripeError
from deploy.sandbox.faults import is_number, is_whole
from deploy.sandbox.gate import Gate
from deploy.sandbox.redaction import CANCELED_RULES
from deploy.sandbox.session import LAST_ERRORS, REQUIRES_INPUT, VERIFIED, Session
from deploy.sandbox.state import NO_REQUEST, State

WALK_AWAY = "walk_away"
OUTCOMES = (VERIFIED, *LAST_ERRORS, WALK_AWAY)
FLOW_OPTIONS = ("document", "email", "id_number", "matching", "phone")
_YEAR = 366 * 24 * 3600.0


class Control:
    """The operations. Each takes the JSON body and the id in the path, and returns JSON.

    They raise ValueError for a body they cannot accept, StripeError for an unknown id.
    """

    def __init__(self, state: State, gate: Gate, chaos: Chaos, deliveries: Deliveries) -> None:
        self._state = state
        self._gate = gate
        self._chaos = chaos
        self._deliveries = deliveries

    def list_sessions(self, body: JSON, _: str) -> JSON:
        """The state of every session, oldest first, both modes."""
        return {"data": [truth(session) for session in self._state.sessions.values()]}

    def create_session(self, body: JSON, _: str) -> JSON:
        """Somebody opens a session elsewhere, as in the dashboard; with `webhook` false, unheard.

        The fields are those of Stripe's API, in JSON.
        """
        account, livemode = body.pop("account", OWN), body.pop("livemode", False)
        check(isinstance(account, str) and account.startswith("acct_"), "account must be acct_…")
        check(isinstance(livemode, bool), "livemode must be true or false")
        with self._heard(body):
            given = params.read(as_form(body), session_params.CREATE)
            session = self._state.create(given, Scope(account, livemode), NO_REQUEST)
        return truth(session)

    @contextmanager
    def _heard(self, body: JSON) -> Iterator[None]:
        """Take `webhook` from the body; false: the events made in the block are not delivered."""
        heard, before = body.pop("webhook", True), self._deliveries.enabled
        check(isinstance(heard, bool), "webhook must be true or false")
        self._deliveries.enabled = before and heard
        try:
            yield
        finally:
            self._deliveries.enabled = before

    def submit(self, body: JSON, session_id: str) -> JSON:
        """A person submits, or walks away: then nothing happens.

        With `webhook` false, what happens at once is not delivered.
        """
        only(body, "outcome", "delay", "reason", "verified_outputs", "webhook")
        session = self._state.find(session_id)
        outcome, delay = body.get("outcome"), body.get("delay", 0)
        reason, outputs = body.get("reason"), body.get("verified_outputs")
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of: {', '.join(OUTCOMES)}")
        check(is_number(delay, 0, _YEAR), "delay must be seconds from 0")
        check(reason is None or isinstance(reason, str), "reason must be text")
        check(outputs is None or isinstance(outputs, dict), "verified_outputs must be an object")
        with self._heard(body):
            if outcome != WALK_AWAY:
                self._state.submit(session, outcome, delay, outputs, reason)
        return truth(session)

    def review(self, body: JSON, session_id: str) -> JSON:
        """A reviewer changes the outcome of a submission; with `webhook` false, unheard."""
        only(body, "status", "last_error", "webhook")
        session = self._state.find(session_id)
        status, code = body.get("status"), body.get("last_error")
        check(
            status in (VERIFIED, REQUIRES_INPUT), "status must be one of: verified, requires_input"
        )
        if status == VERIFIED:
            check(code is None, "a verified session has no last_error")
        else:
            check(code in list(LAST_ERRORS), f"last_error must be one of: {', '.join(LAST_ERRORS)}")
        with self._heard(body):
            self._state.review(session, str(status), code)
        return truth(session)

    def show_chaos(self, body: JSON, _: str) -> JSON:
        """What goes wrong with deliveries."""
        return self._chaos.render()

    def set_chaos(self, body: JSON, _: str) -> JSON:
        """Change it."""
        self._chaos.change(body)
        return self._chaos.render()

    def show_deliveries(self, body: JSON, _: str) -> JSON:
        """What was sent so far."""
        return self._deliveries.render()

    def show_retries(self, body: JSON, _: str) -> JSON:
        """The backoff between the tries of a delivery, in seconds."""
        return asdict(self._deliveries.retries)

    def set_retries(self, body: JSON, _: str) -> JSON:
        """Change it, for tries that have not been made yet."""
        only(body, "initial", "maximum", "give_up_after")
        for name, value in body.items():
            check(is_number(value, 0.001, _YEAR), f"{name} must be seconds, more than 0")
        for name, value in body.items():
            setattr(self._deliveries.retries, name, float(value))
        return asdict(self._deliveries.retries)

    def resend(self, body: JSON, event_id: str) -> JSON:
        """Send an event once more, as Stripe's dashboard does."""
        event = self._state.events.get(event_id)
        if event is None:
            raise StripeError(404, f"there is no event '{event_id}'")
        return {"id": event.id, "copies": self._deliveries.resend(event)}

    def set_webhooks(self, body: JSON, _: str) -> JSON:
        """Switch deliveries off and on: events made while they are off are never delivered."""
        only(body, "enabled")
        check(isinstance(body.get("enabled"), bool), "enabled must be true or false")
        self._deliveries.enabled = body["enabled"]
        return self.show_webhooks(body, _)

    def show_webhooks(self, body: JSON, _: str) -> JSON:
        """Whether events are delivered."""
        return {"enabled": self._deliveries.enabled}

    def show_clock(self, body: JSON, _: str) -> JSON:
        """The sandbox's time in seconds since the epoch, and its lead over the wall clock."""
        return {"now": self._state.clock.now(), "offset": self._state.clock.offset}

    def advance_clock(self, body: JSON, _: str) -> JSON:
        """Move the clock forward; what falls due meanwhile happens at once."""
        only(body, "advance")
        seconds = body.get("advance")
        check(is_number(seconds, 0, _YEAR), "advance must be seconds from 0, at most a year")
        self._state.clock.advance(float(seconds or 0))
        self._state.tick()
        return self.show_clock(body, _)

    def show_faults(self, body: JSON, _: str) -> JSON:
        """The faults still to happen."""
        return {"data": self._gate.faults.render()}

    def add_fault(self, body: JSON, _: str) -> JSON:
        """Add a fault for the next requests."""
        self._gate.faults.add(body)
        return self.show_faults(body, _)

    def clear_faults(self, body: JSON, _: str) -> JSON:
        """Forget the faults still to happen."""
        self._gate.faults.clear()
        return self.show_faults(body, _)

    def show_limits(self, body: JSON, _: str) -> JSON:
        """How many requests a second the API takes; null for any number."""
        return {"per_second": self._gate.rate_limit.per_second}

    def set_limits(self, body: JSON, _: str) -> JSON:
        """Change it."""
        only(body, "per_second")
        limit = body.get("per_second")
        check(limit is None or is_whole(limit, 0, 10**6), "per_second must be whole, or null")
        self._gate.rate_limit.per_second = limit
        return self.show_limits(body, _)

    def set_flow(self, body: JSON, flow_id: str) -> JSON:
        """Say what a verification flow asks for, as the dashboard does: a session's `options`."""
        only(body, "options")
        options = body.get("options")
        check(flow_id.startswith("vf_"), "the id of a flow starts with vf_")
        check(
            isinstance(options, dict)
            and set(options) <= set(FLOW_OPTIONS)
            and all(isinstance(option, dict) for option in options.values()),
            f"options has objects named: {', '.join(FLOW_OPTIONS)}",
        )
        self._state.flows[flow_id] = options or {}
        return {"id": flow_id, "options": self._state.flows[flow_id]}

    def show_redaction(self, body: JSON, _: str) -> JSON:
        """How long a redaction takes, in seconds, and which canceled sessions can be redacted."""
        state = self._state
        return {"seconds": state.redaction_seconds, "canceled": state.canceled_redaction}

    def set_redaction(self, body: JSON, _: str) -> JSON:
        """Change it, for redactions that have not begun."""
        only(body, "seconds", "canceled")
        seconds = body.get("seconds", self._state.redaction_seconds)
        canceled = body.get("canceled", self._state.canceled_redaction)
        check(is_number(seconds, 0, _YEAR), "seconds must be a number from 0")
        check(canceled in CANCELED_RULES, f"canceled must be one of: {', '.join(CANCELED_RULES)}")
        self._state.redaction_seconds = float(seconds)
        self._state.canceled_redaction = canceled
        return self.show_redaction(body, _)


def truth(session: Session) -> JSON:
    """The state of a session, in the few fields that a test compares."""
    return {
        "id": session.id,
        "client_reference_id": session.client_reference_id,
        "status": session.status,
        "last_error": session.last_error and session.last_error["code"],
        "redaction": session.redaction,
        "created": session.created,
        "attempts": len(session.failures),
        "verified_at": session.verified_at,
        "status_since": session.status_since,
        "livemode": session.livemode,
        "account": session.account,
    }


def routes(control: Control, changed: Callable[[], None]) -> list[Route]:
    """The paths under /_sandbox. `changed` is called after each call that may change something."""
    route = partial(controlled, changed)
    return [
        route("GET", "/sessions", control.list_sessions),
        route("POST", "/sessions", control.create_session),
        route("POST", "/sessions/{id}/submit", control.submit),
        route("POST", "/sessions/{id}/review", control.review),
        route("GET", "/chaos", control.show_chaos),
        route("POST", "/chaos", control.set_chaos),
        route("GET", "/deliveries", control.show_deliveries),
        route("GET", "/retries", control.show_retries),
        route("POST", "/retries", control.set_retries),
        route("POST", "/events/{id}/resend", control.resend),
        route("GET", "/webhooks", control.show_webhooks),
        route("POST", "/webhooks", control.set_webhooks),
        route("GET", "/clock", control.show_clock),
        route("POST", "/clock", control.advance_clock),
        route("GET", "/faults", control.show_faults),
        route("POST", "/faults", control.add_fault),
        route("DELETE", "/faults", control.clear_faults),
        route("GET", "/limits", control.show_limits),
        route("POST", "/limits", control.set_limits),
        route("POST", "/verification_flows/{id}", control.set_flow),
        route("GET", "/redaction", control.show_redaction),
        route("POST", "/redaction", control.set_redaction),
    ]
