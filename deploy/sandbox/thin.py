"""Thin events and event destinations: Stripe's API v2.

A thin event names its object and shows nothing of it. The forms are those of the stripe package
(`stripe.v2.core`, `stripe.events`) and of Stripe's example, where what is not there is left out:
https://docs.stripe.com/changelog/acacia/2024-09-30/api-v2-thin-events.

Our reading, where nothing says: a thin event has an id of its own, made of its snapshot event's,
and the list of destinations does not have the endpoints of API v1.
"""

from datetime import UTC, datetime
from typing import Any

from starlette.routing import Route

from deploy.sandbox import params
from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.errors import no_such
from deploy.sandbox.events import API_VERSION, RETENTION, Event, snapshot_id
from deploy.sandbox.gate import Call, Gate
from deploy.sandbox.state import State

_DESTINATIONS = "/v2/core/event_destinations"
_INCLUDE = {"include": params.array(params.choice("webhook_endpoint.url"))}


def notification(event: Event, origin: dict[str, str]) -> dict[str, Any]:
    """The event as a destination for thin ones receives it; of `origin`, only `context`."""
    context = {"context": origin["context"]} if "context" in origin else {}
    return {
        "id": event.thin_id,
        "object": "v2.core.event",
        "type": event.thin_type,
        "livemode": event.livemode,
        "created": _time(event.created),
        **context,
        **_reason(event),
        "related_object": {
            "id": event.object["id"],
            "type": event.object["object"],
            "url": f"/v1/identity/verification_sessions/{event.object['id']}",
        },
    }


def show(event: Event, origin: dict[str, str]) -> dict[str, Any]:
    """The event as the API answers it."""
    return {**notification(event, origin), "snapshot_event": event.id}


def show_destination(endpoint: Endpoint, include: list[str]) -> dict[str, Any]:
    """Stripe's object; its address only if `include` names it."""
    with_url = "webhook_endpoint.url" in include
    version = {"snapshot_api_version": endpoint.api_version or API_VERSION}
    return {
        "id": endpoint.id,
        "object": "v2.core.event_destination",
        "created": _time(endpoint.created),
        "description": endpoint.description or "",
        "enabled_events": endpoint.enabled_events,
        "event_payload": "thin" if endpoint.thin else "snapshot",
        "events_from": endpoint.events_from,
        "livemode": endpoint.livemode,
        "metadata": endpoint.metadata,
        "name": endpoint.description or endpoint.id,
        **({} if endpoint.thin else version),
        "status": "disabled" if endpoint.disabled else "enabled",
        **({"status_details": {"disabled": {"reason": "user"}}} if endpoint.disabled else {}),
        "type": "webhook_endpoint",
        "updated": _time(endpoint.created),
        "webhook_endpoint": {"url": endpoint.url} if with_url else {},
    }


class ThinApi:
    """The operations of API v2, as those of `api.Api`."""

    def __init__(self, state: State, endpoints: dict[str, Endpoint]) -> None:
        self._state = state
        self._endpoints = endpoints

    def retrieve_event(self, call: Call) -> dict[str, Any]:
        """GET /v2/core/events/:id."""
        params.read(call.params, {})
        identifier = call.path["id"]
        event = self._state.events.get(snapshot_id(identifier))
        oldest = self._state.clock.now() - RETENTION
        if (
            event is None
            or event.thin_id != identifier
            or event.scope != call.caller.scope
            or event.created < oldest
        ):
            raise no_such("event", identifier)
        return show(event, {})

    def list_destinations(self, call: Call) -> dict[str, Any]:
        """GET /v2/core/event_destinations: one page has them all."""
        given = params.read(call.params, {**_INCLUDE, "limit": params.integer(1, 100)})
        found = [e for e in self._endpoints.values() if e.is_destination]
        data = [
            show_destination(endpoint, given.get("include", []))
            for endpoint in found
            if endpoint.scope == call.caller.scope
        ]
        return {"data": data, "next_page_url": None, "previous_page_url": None}

    def retrieve_destination(self, call: Call) -> dict[str, Any]:
        """GET /v2/core/event_destinations/:id."""
        given = params.read(call.params, _INCLUDE)
        endpoint = self._endpoints.get(call.path["id"])
        if endpoint is None or not endpoint.is_destination or endpoint.scope != call.caller.scope:
            raise no_such("event_destination", call.path["id"])
        return show_destination(endpoint, given.get("include", []))


def routes(api: ThinApi, gate: Gate) -> list[Route]:
    """Stripe's paths, each behind the gate."""
    return [
        Route("/v2/core/events/{id}", gate.endpoint(api.retrieve_event), methods=["GET"]),
        Route(_DESTINATIONS, gate.endpoint(api.list_destinations), methods=["GET"]),
        Route(_DESTINATIONS + "/{id}", gate.endpoint(api.retrieve_destination), methods=["GET"]),
    ]


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _reason(event: Event) -> dict[str, Any]:
    """The request that caused the event, if one did."""
    if event.request["id"] is None:
        return {}
    request = {**event.request, "idempotency_key": event.request["idempotency_key"] or ""}
    return {"reason": {"type": "request", "request": request}}
