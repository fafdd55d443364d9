"""`/_sandbox`: how a test or a demonstration controls the sandbox. JSON in and out, no key.

Every error is `{"error": {"message": "one line"}}` with 400, 404, 409 or 413.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.sandbox import bodies
from deploy.sandbox.chaos import Chaos
from deploy.sandbox.deliveries import Deliveries
from deploy.sandbox.errors import StripeError
from deploy.sandbox.faults import is_number, is_whole
from deploy.sandbox.gate import Gate
from deploy.sandbox.session import LAST_ERRORS, REQUIRES_INPUT, VERIFIED, Session
from deploy.sandbox.state import State

JSON = dict[str, Any]
Operation = Callable[[JSON, str], JSON]

WALK_AWAY = "walk_away"
OUTCOMES = (VERIFIED, *LAST_ERRORS, WALK_AWAY)
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

    def submit(self, body: JSON, session_id: str) -> JSON:
        """A person submits, or walks away: then nothing happens."""
        _only(body, "outcome", "delay", "reason", "verified_outputs")
        session = self._state.find(session_id)
        outcome, delay = body.get("outcome"), body.get("delay", 0)
        reason, outputs = body.get("reason"), body.get("verified_outputs")
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of: {', '.join(OUTCOMES)}")
        _check(is_number(delay, 0, _YEAR), "delay must be seconds from 0")
        _check(reason is None or isinstance(reason, str), "reason must be text")
        _check(outputs is None or isinstance(outputs, dict), "verified_outputs must be an object")
        if outcome != WALK_AWAY:
            self._state.submit(session, outcome, delay, outputs, reason)
        return truth(session)

    def review(self, body: JSON, session_id: str) -> JSON:
        """A reviewer changes the outcome of a submission."""
        _only(body, "status", "last_error")
        session = self._state.find(session_id)
        status, code = body.get("status"), body.get("last_error")
        _check(
            status in (VERIFIED, REQUIRES_INPUT), "status must be one of: verified, requires_input"
        )
        if status == VERIFIED:
            _check(code is None, "a verified session has no last_error")
        else:
            _check(
                code in list(LAST_ERRORS), f"last_error must be one of: {', '.join(LAST_ERRORS)}"
            )
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
        _only(body, "initial", "maximum", "give_up_after")
        for name, value in body.items():
            _check(is_number(value, 0.001, _YEAR), f"{name} must be seconds, more than 0")
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
        _only(body, "enabled")
        _check(isinstance(body.get("enabled"), bool), "enabled must be true or false")
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
        _only(body, "advance")
        seconds = body.get("advance")
        _check(is_number(seconds, 0, _YEAR), "advance must be seconds from 0, at most a year")
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
        _only(body, "per_second")
        limit = body.get("per_second")
        _check(limit is None or is_whole(limit, 0, 10**6), "per_second must be whole, or null")
        self._gate.rate_limit.per_second = limit
        return self.show_limits(body, _)

    def show_redaction(self, body: JSON, _: str) -> JSON:
        """How long a redaction takes, in seconds."""
        return {"seconds": self._state.redaction_seconds}

    def set_redaction(self, body: JSON, _: str) -> JSON:
        """Change it, for redactions that have not begun."""
        _only(body, "seconds")
        seconds = body.get("seconds")
        _check(is_number(seconds, 0, _YEAR), "seconds must be a number from 0")
        self._state.redaction_seconds = float(seconds or 0)
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
        "attempts": len(session.failed_reports),
        "verified_at": session.verified_at,
        "status_since": session.status_since,
        "livemode": session.livemode,
    }


def routes(control: Control, changed: Callable[[], None]) -> list[Route]:
    """The paths under /_sandbox. `changed` is called after each call that may change something."""

    def route(method: str, path: str, operation: Operation) -> Route:
        async def answer(request: Request) -> Response:
            response = await _respond(request, operation)
            if request.method != "GET":
                changed()
            return response

        return Route(f"/_sandbox{path}", answer, methods=[method])

    return [
        route("GET", "/sessions", control.list_sessions),
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
        route("GET", "/redaction", control.show_redaction),
        route("POST", "/redaction", control.set_redaction),
    ]


async def unknown(request: Request) -> Response:
    """Answer 404 to an unknown path under /_sandbox."""
    return _error(404, f"there is no {request.method} {request.scope['path']}")


async def _respond(request: Request, operation: Operation) -> Response:
    try:
        body = {} if request.method == "GET" else await bodies.read_json(request)
        return JSONResponse(operation(body, request.path_params.get("id", "")))
    except ValueError as error:
        return _error(400, str(error))
    except bodies.TooLarge:
        return _error(413, f"the body is longer than {bodies.MAX_BYTES} bytes")
    except StripeError as error:
        # What exists but is in the wrong state is a conflict here; Stripe itself answers 400.
        return _error(404 if error.status == 404 else 409, error.message)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message}}, status)


def _only(body: JSON, *fields: str) -> None:
    for name in body:
        _check(name in fields, f"unknown field {name!r}; there are: {', '.join(fields)}")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
