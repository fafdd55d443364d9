"""Stripe's API for webhook endpoints."""

from typing import Any

from starlette.routing import Route

from deploy.sandbox import endpoints, listing, params, session_params
from deploy.sandbox.clock import Clock
from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.errors import no_such
from deploy.sandbox.gate import Call, Gate, Operation
from deploy.sandbox.ids import Ids

_ENDPOINTS = "/v1/webhook_endpoints"


class EndpointApi:
    """The operations. Each takes a call and returns the object to answer, or raises StripeError."""

    def __init__(self, webhook_endpoints: dict[str, Endpoint], clock: Clock, ids: Ids) -> None:
        self._endpoints = webhook_endpoints
        self._clock = clock
        self._ids = ids

    def create_endpoint(self, call: Call) -> dict[str, Any]:
        """POST /v1/webhook_endpoints."""
        given = params.read(call.params, endpoints.CREATE, ("url", "enabled_events"))
        endpoint = Endpoint(
            id=self._ids.new("we"),
            url=given["url"],
            secret=self._ids.new("whsec", 32),
            livemode=call.caller.scope.livemode,
            created=int(self._clock.now()),
            api_version=given.get("api_version"),
            owner=call.caller.scope.account,
            events_from=[endpoints.CONNECTED if given.get("connect") else endpoints.SELF],
        )
        endpoint.update(given)
        self._endpoints[endpoint.id] = endpoint
        return endpoint.render(with_secret=True)

    def list_endpoints(self, call: Call) -> dict[str, Any]:
        """GET /v1/webhook_endpoints."""
        given = params.read(call.params, listing.PAGE)
        everything = [
            endpoint
            for endpoint in self._endpoints.values()
            if endpoint.scope == call.caller.scope and not endpoint.is_destination
        ]
        page, has_more = listing.page(everything, lambda _: True, given, "webhook_endpoint")
        return listing.render(_ENDPOINTS, [e.render() for e in page], has_more)

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

    def _find_endpoint(self, call: Call) -> Endpoint:
        endpoint = self._endpoints.get(call.path["id"])
        if endpoint is None or endpoint.scope != call.caller.scope or endpoint.is_destination:
            raise no_such("webhook_endpoint", call.path["id"])
        return endpoint


def routes(api: EndpointApi, gate: Gate) -> list[Route]:
    """Stripe's paths, each behind the gate."""

    def route(method: str, path: str, operation: Operation) -> Route:
        return Route(path, gate.endpoint(operation), methods=[method])

    return [
        route("POST", _ENDPOINTS, api.create_endpoint),
        route("GET", _ENDPOINTS, api.list_endpoints),
        route("GET", _ENDPOINTS + "/{id}", api.retrieve_endpoint),
        route("POST", _ENDPOINTS + "/{id}", api.update_endpoint),
        route("DELETE", _ENDPOINTS + "/{id}", api.delete_endpoint),
    ]
