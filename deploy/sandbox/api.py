"""Stripe's API: sessions, reports, events, endpoints, the account."""

from typing import Any

from starlette.routing import Route

from deploy.sandbox import endpoints, events, listing, params, session_params
from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.errors import no_such
from deploy.sandbox.expansion import read_expand, read_report_expand, show_report, show_session
from deploy.sandbox.gate import Call, Gate, Operation
from deploy.sandbox.ids import Ids
from deploy.sandbox.state import State

ACCOUNT_ID = "acct_1SandboxIdentity0"

_SESSIONS = "/v1/identity/verification_sessions"


class Api:
    """The operations. Each takes a call and returns the object to answer, or raises StripeError."""

    def __init__(self, state: State, webhook_endpoints: dict[str, Endpoint], ids: Ids) -> None:
        self._state = state
        self._endpoints = webhook_endpoints
        self._ids = ids

    def create_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions."""
        required = () if "verification_flow" in call.params else ("type",)
        given = params.read(call.params, session_params.CREATE, required)
        expand = read_expand(given, call.caller.restricted)
        session = self._state.create(given, call.caller.livemode, call.request)
        return show_session(self._state, session, expand)

    def retrieve_session(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_sessions/:id."""
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        session = self._state.find(call.path["id"], call.caller.livemode)
        self._state.refresh_link(session)
        return show_session(self._state, session, expand)

    def update_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id."""
        session = self._state.find(call.path["id"], call.caller.livemode)
        given = params.read(call.params, session_params.CHANGEABLE)
        expand = read_expand(given, call.caller.restricted)
        self._state.update(session, given)
        return show_session(self._state, session, expand)

    def cancel_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id/cancel."""
        session = self._state.find(call.path["id"], call.caller.livemode)
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        self._state.cancel(session, call.request)
        return show_session(self._state, session, expand)

    def redact_session(self, call: Call) -> dict[str, Any]:
        """POST /v1/identity/verification_sessions/:id/redact."""
        session = self._state.find(call.path["id"], call.caller.livemode)
        given = params.read(call.params, session_params.EXPAND)
        expand = read_expand(given, call.caller.restricted)
        self._state.redact(session, call.request)
        return show_session(self._state, session, expand)

    def list_sessions(self, call: Call) -> dict[str, Any]:
        """GET /v1/identity/verification_sessions."""
        given = params.read(
            call.params, {**listing.PAGE, **listing.CREATED, **session_params.FILTERS}
        )
        expand = read_expand(given, call.caller.restricted)
        wanted = [(name, given[name]) for name in session_params.FILTERS if name in given]
        created = given.get("created", {})
        page, has_more = listing.page(
            [s for s in self._state.sessions.values() if s.livemode == call.caller.livemode],
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
        if report is None or report["livemode"] != call.caller.livemode:
            raise no_such("verificationreport", call.path["id"], "report")
        return show_report(report, expand)

    def list_events(self, call: Call) -> dict[str, Any]:
        """GET /v1/events."""
        own: dict[str, params.Reader] = {
            "type": params.string(100),
            "types": params.array(params.string(100), max_items=20),
            "delivery_success": params.boolean,
        }
        given = params.read(call.params, {**listing.PAGE, **listing.CREATED, **own})
        oldest = self._state.clock.now() - events.RETENTION
        created = given.get("created", {})
        page, has_more = listing.page(
            [e for e in self._state.events.values() if e.livemode == call.caller.livemode],
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
        if event is None or event.livemode != call.caller.livemode or event.created < oldest:
            raise no_such("event", call.path["id"])
        return event.render()

    def create_endpoint(self, call: Call) -> dict[str, Any]:
        """POST /v1/webhook_endpoints."""
        given = params.read(call.params, endpoints.CREATE, ("url", "enabled_events"))
        endpoint = Endpoint(
            id=self._ids.new("we"),
            url=given["url"],
            secret=self._ids.new("whsec", 32),
            livemode=call.caller.livemode,
            created=int(self._state.clock.now()),
            api_version=given.get("api_version"),
        )
        endpoint.update(given)
        self._endpoints[endpoint.id] = endpoint
        return endpoint.render(with_secret=True)

    def list_endpoints(self, call: Call) -> dict[str, Any]:
        """GET /v1/webhook_endpoints."""
        given = params.read(call.params, listing.PAGE)
        everything = [e for e in self._endpoints.values() if e.livemode == call.caller.livemode]
        page, has_more = listing.page(everything, lambda _: True, given, "webhook_endpoint")
        return listing.render("/v1/webhook_endpoints", [e.render() for e in page], has_more)

    def retrieve_endpoint(self, call: Call) -> dict[str, Any]:
        """GET /v1/webhook_endpoints/:id."""
        params.read(call.params, session_params.EXPAND)
        return self._find_endpoint(call).render()

    def update_endpoint(self, call: Call) -> dict[str, Any]:
        """POST /v1/webhook_endpoints/:id."""
        endpoint = self._find_endpoint(call)
        endpoint.update(params.read(call.params, endpoints.UPDATE))
        return endpoint.render()

    def delete_endpoint(self, call: Call) -> dict[str, Any]:
        """DELETE /v1/webhook_endpoints/:id."""
        endpoint = self._find_endpoint(call)
        del self._endpoints[endpoint.id]
        return {"id": endpoint.id, "object": "webhook_endpoint", "deleted": True}

    def retrieve_account(self, call: Call) -> dict[str, Any]:
        """GET /v1/account."""
        params.read(call.params, session_params.EXPAND)
        return {
            "id": ACCOUNT_ID,
            "object": "account",
            "charges_enabled": False,
            "country": "US",
            "default_currency": "usd",
            "details_submitted": True,
            "email": "sandbox@example.com",
            "metadata": {},
            "payouts_enabled": False,
            "settings": {"dashboard": {"display_name": "Identity sandbox"}},
            "type": "standard",
        }

    def _find_endpoint(self, call: Call) -> Endpoint:
        endpoint = self._endpoints.get(call.path["id"])
        if endpoint is None or endpoint.livemode != call.caller.livemode:
            raise no_such("webhook_endpoint", call.path["id"])
        return endpoint


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
        route("GET", "/v1/identity/verification_reports/{id}", api.retrieve_report),
        route("GET", "/v1/events", api.list_events),
        route("GET", "/v1/events/{id}", api.retrieve_event),
        route("POST", "/v1/webhook_endpoints", api.create_endpoint),
        route("GET", "/v1/webhook_endpoints", api.list_endpoints),
        route("GET", "/v1/webhook_endpoints/{id}", api.retrieve_endpoint),
        route("POST", "/v1/webhook_endpoints/{id}", api.update_endpoint),
        route("DELETE", "/v1/webhook_endpoints/{id}", api.delete_endpoint),
        route("GET", "/v1/account", api.retrieve_account),
    ]
