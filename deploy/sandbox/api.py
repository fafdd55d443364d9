"""Stripe's API: sessions, reports, events, the account."""

from typing import Any

from starlette.routing import Route

from deploy.sandbox import events, listing, params, session_params
from deploy.sandbox.errors import StripeError, invalid_parameter, no_such
from deploy.sandbox.expansion import read_expand, read_report_expand, show_report, show_session
from deploy.sandbox.gate import Call, Gate, Operation
from deploy.sandbox.state import State

_SESSIONS = "/v1/identity/verification_sessions"
_REPORTS = "/v1/identity/verification_reports"


class Api:
    """The operations. Each takes a call and returns the object to answer, or raises StripeError."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions."""
        required = () if "verification_flow" in call.params else ("type",)
        given = params.read(call.params, session_params.CREATE, required)
        expand = read_expand(given, call.caller.restricted)
        session = self._state.create(given, call.caller.scope, call.request)
        return show_session(self._state, session, expand)

    def retrieve_session(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_sessions/:id."""
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        session = self._state.find(call.path["id"], call.caller.scope)
        self._state.refresh_link(session)
        return show_session(self._state, session, expand)

    def update_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id."""
        session = self._state.find(call.path["id"], call.caller.scope)
        given = params.read(call.params, session_params.CHANGEABLE)
        expand = read_expand(given, call.caller.restricted)
        self._state.update(session, given)
        return show_session(self._state, session, expand)

    def cancel_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id/cancel."""
        session = self._state.find(call.path["id"], call.caller.scope)
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        self._state.cancel(session, call.request)
        return show_session(self._state, session, expand)

    def redact_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id/redact."""
        session = self._state.find(call.path["id"], call.caller.scope)
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        self._state.redact(session, call.request)
        return show_session(self._state, session, expand)

    def list_sessions(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_sessions."""
        given = params.read(
            call.params, {**listing.PAGE, **listing.CREATED, **session_params.FILTERS}
        )
        expand = read_expand(given, call.caller.restricted, under="data.")
        wanted = [(name, given[name]) for name in session_params.FILTERS if name in given]
        created = given.get("created", {})
        page, has_more = listing.page(
            listing.visible(self._state.sessions.values(), call.caller.scope),
            lambda session: (
                listing.within(session.created, created)
                and all(getattr(session, name) == value for name, value in wanted)
            ),
            given,
            "verificationsession",
        )
        data = [show_session(self._state, session, expand) for session in page]
        return listing.render(_SESSIONS, data, has_more)

    def retrieve_report(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_reports/:id."""
        given = params.read(call.params, session_params.EXPAND)
        expand = read_report_expand(given, call.caller.restricted)
        report = self._state.reports.get(call.path["id"])
        if report is None or report.scope != call.caller.scope:
            raise no_such("verificationreport", call.path["id"], "report")
        return show_report(report.content, expand)

    def list_reports(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_reports."""
        given = params.read(
            call.params, {**listing.PAGE, **listing.CREATED, **session_params.REPORT_FILTERS}
        )
        expand = read_report_expand(given, call.caller.restricted, under="data.")
        wanted = [(name, given[name]) for name in session_params.REPORT_FILTERS if name in given]
        created = given.get("created", {})
        page, has_more = listing.page(
            listing.visible(self._state.reports.values(), call.caller.scope),
            lambda report: (
                listing.within(report.created, created)
                and all(report.content[name] == value for name, value in wanted)
            ),
            given,
            "verificationreport",
        )
        data = [show_report(report.content, expand) for report in page]
        return listing.render(_REPORTS, data, has_more)

    def list_events(self, call: Call) -> dict[str, Any]:
        """GET /v1/events."""
        own: dict[str, params.Reader] = {
            "type": params.string(100),
            "types": params.array(params.string(100), max_items=20),
            "delivery_success": params.boolean,
        }
        given = params.read(call.params, {**listing.PAGE, **listing.CREATED, **own})
        if "type" in given and "types" in given:
            raise invalid_parameter("types", "You may pass either type or types, but not both.")
        oldest = self._state.clock.now() - events.RETENTION
        created = given.get("created", {})
        page, has_more = listing.page(
            listing.visible(self._state.events.values(), call.caller.scope),
            lambda event: (
                event.created >= oldest
                and listing.within(event.created, created)
                and events.matches(event, given)
            ),
            given,
            "event",
        )
        return listing.render("/v1/events", [event.render() for event in page], has_more)

    def retrieve_event(self, call: Call) -> dict[str, Any]:
        """GET /v1/events/:id."""
        params.read(call.params, session_params.EXPAND)
        event = self._state.events.get(call.path["id"])
        oldest = self._state.clock.now() - events.RETENTION
        if event is None or event.scope != call.caller.scope or event.created < oldest:
            raise no_such("event", call.path["id"])
        return event.render()

    def retrieve_account(self, call: Call) -> dict[str, Any]:
        """GET /v1/account. No restricted key may: https://github.com/dj-stripe/dj-stripe/pull/1131."""
        params.read(call.params, session_params.EXPAND)
        account = call.caller.scope.account
        if call.caller.restricted:
            raise StripeError(
                403,
                "The provided key does not have the required permissions for this endpoint on "
                f"account '{account}'.",
            )
        return {
            "id": account,
            "object": "account",
            "charges_enabled": False,
            "country": "US",
            "default_currency": "usd",
            "details_submitted": True,
            "email": "sandbox@example.com",
            "metadata": {},
            "payouts_enabled": False,
            "type": "standard",
        }


def routes(api: Api, gate: Gate) -> list[Route]:
    """Stripe's paths, each behind the gate."""

    def route(method: str, path: str, operation: Operation) -> Route:
        return Route(path, gate.endpoint(operation), methods=[method])

    return [
        route("POST", _SESSIONS, api.create_session),
        route("GET", _SESSIONS, api.list_sessions),
        route("GET", _SESSIONS + "/{id}", api.retrieve_session),
        route("POST", _SESSIONS + "/{id}", api.update_session),
        route("POST", _SESSIONS + "/{id}/cancel", api.cancel_session),
        route("POST", _SESSIONS + "/{id}/redact", api.redact_session),
        route("GET", _REPORTS, api.list_reports),
        route("GET", _REPORTS + "/{id}", api.retrieve_report),
        route("GET", "/v1/events", api.list_events),
        route("GET", "/v1/events/{id}", api.retrieve_event),
        route("GET", "/v1/account", api.retrieve_account),
    ]
