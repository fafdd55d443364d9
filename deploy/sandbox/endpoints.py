"""Webhook endpoints: which events each one receives."""

from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox import params
from deploy.sandbox.accounts import ORGANIZATION, OWN, Scope
from deploy.sandbox.events import PREFIX, TYPES, Event

# These have to be enabled by name: https://docs.stripe.com/api/webhook_endpoints/object.
_NOT_IN_ALL = (PREFIX + "redacted",)

# Whose events a destination receives, in Stripe's words (`events_from`).
SELF, CONNECTED = "@self", "@accounts"
MEMBERS, CONNECTED_TO_MEMBERS = "@organization_members", "@organization_members/@accounts"
EVENTS_FROM = (SELF, CONNECTED, MEMBERS, CONNECTED_TO_MEMBERS)

_CHANGEABLE: dict[str, params.Reader] = {
    "url": params.url,
    "enabled_events": params.array(params.string(100), max_items=500),
    "description": params.string(clearable=True),
    "metadata": params.metadata,
    "expand": params.array(params.string()),
}
CREATE: dict[str, params.Reader] = {
    **_CHANGEABLE,
    "api_version": params.string(100),
    "connect": params.boolean,
}
UPDATE: dict[str, params.Reader] = {**_CHANGEABLE, "disabled": params.boolean}


@dataclass
class Endpoint:
    """One webhook endpoint and its signing secret."""

    id: str
    url: str
    secret: str
    livemode: bool
    created: int
    enabled_events: list[str] = field(default_factory=lambda: list(TYPES))
    description: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    api_version: str | None = None
    disabled: bool = False
    owner: str = OWN  # an account, or ORGANIZATION
    events_from: list[str] = field(default_factory=lambda: [SELF])
    thin: bool = False

    @property
    def is_destination(self) -> bool:
        """Whether it was made as an event destination (API v2), not as a webhook endpoint."""
        return self.id.startswith("ed_")

    @property
    def scope(self) -> Scope:
        """Who sees it."""
        return Scope(self.owner, self.livemode)

    def wants(self, event: Event) -> bool:
        """Whether the event is sent here."""
        if self.disabled or self.livemode != event.livemode:
            return False
        if self._source(event) not in self.events_from:
            return False
        if self.thin:
            return event.thin_type in self.enabled_events
        if event.type in self.enabled_events:
            return True
        return "*" in self.enabled_events and event.type not in _NOT_IN_ALL

    def _source(self, event: Event) -> str | None:
        """In which of the ways of `events_from` the event's account belongs to the owner."""
        if self.owner == ORGANIZATION:
            return MEMBERS if len(event.path) == 1 else CONNECTED_TO_MEMBERS
        if self.owner not in event.path:
            return None
        return SELF if event.path[-1] == self.owner else CONNECTED

    def origin(self, event: Event) -> dict[str, str]:
        """How an event says whose it is: `accounts` has what is Stripe's, what our reading."""
        if self.owner == ORGANIZATION:
            below, connected = event.path, len(event.path) > 1
        else:
            below = event.path[event.path.index(self.owner) + 1 :]
            connected = bool(below)
        context = {"context": "/".join(below)} if below else {}
        return context | ({"account": event.path[-1]} if connected else {})

    def update(self, given: dict[str, Any]) -> None:
        """Apply the given parameters of Stripe's update, in their types. Raises StripeError."""
        # First, because only this can be refused.
        self.metadata = params.merge_metadata(self.metadata, given.get("metadata", {}))
        self.url = given.get("url", self.url)
        self.enabled_events = given.get("enabled_events", self.enabled_events)
        self.description = given.get("description", self.description) or None
        self.disabled = given.get("disabled", self.disabled)

    def render(self, with_secret: bool = False) -> dict[str, Any]:
        """Stripe's object; the secret is only shown at creation."""
        endpoint = {
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.api_version,
            "application": None,
            "created": self.created,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": self.livemode,
            "metadata": self.metadata,
            "status": "disabled" if self.disabled else "enabled",
            "url": self.url,
        }
        return {**endpoint, "secret": self.secret} if with_secret else endpoint
