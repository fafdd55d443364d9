"""Events: what happened to a session, as Stripe keeps and sends it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.accounts import OWN, Scope

# The version that an event is rendered in if the endpoint names none.
API_VERSION = "2026-10-28.endive"
# Stripe's Events API goes back this far: https://docs.stripe.com/api/events.
RETENTION = 30 * 24 * 3600
PREFIX = "identity.verification_session."
TYPES = tuple(
    PREFIX + name
    for name in ("created", "processing", "requires_input", "verified", "canceled", "redacted")
)


@dataclass
class Event:
    """One event.

    `pending` and `failed` hold the ids of the endpoints that it is still to be delivered to, and of
    those that never accepted it. `path` is the account, below its platforms (`Accounts.path`).
    """

    id: str
    type: str
    created: int
    livemode: bool
    object: dict[str, Any]
    request: dict[str, str | None]
    pending: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=lambda: [OWN])

    @property
    def thin_id(self) -> str:
        """The id of the thin event beside it."""
        return f"{_thin_prefix(self.livemode)}{self.id.removeprefix('evt_')}"

    @property
    def thin_type(self) -> str:
        """The type of the thin event beside it."""
        return f"v1.{self.type}"

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.path[-1]

    @property
    def scope(self) -> Scope:
        """Who sees it."""
        return Scope(self.account, self.livemode)

    def render(
        self, api_version: str | None = None, origin: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Stripe's object: https://docs.stripe.com/api/events/object.

        `origin` has `account` and `context`, where the receiver is told them.
        """
        return {
            **(origin or {}),
            "id": self.id,
            "object": "event",
            "api_version": api_version or API_VERSION,
            "created": self.created,
            "data": {"object": self.object},
            "livemode": self.livemode,
            "pending_webhooks": len(self.pending),
            "request": self.request,
            "type": self.type,
        }

    def delivered(self, endpoint_id: str) -> None:
        """An endpoint has answered 2xx."""
        for endpoints in (self.pending, self.failed):
            if endpoint_id in endpoints:
                endpoints.remove(endpoint_id)

    def given_up(self, endpoint_id: str) -> None:
        """The delivery to an endpoint was given up."""
        if endpoint_id in self.pending:
            self.pending.remove(endpoint_id)
            self.failed.append(endpoint_id)


def snapshot_id(thin_id: str) -> str:
    """The id of the snapshot event beside a thin one; nonsense for nonsense."""
    for livemode in (False, True):
        if thin_id.startswith(_thin_prefix(livemode)):
            return f"evt_{thin_id.removeprefix(_thin_prefix(livemode))}"
    return thin_id


def _thin_prefix(livemode: bool) -> str:
    return "evt_65" if livemode else "evt_test_65"


def matches(event: Event, filters: dict[str, Any]) -> bool:
    """Whether an event passes `type` (with `*` at its end), `types` and `delivery_success`."""
    wanted: Iterable[str] = filters.get("types") or [filters.get("type", "*")]
    if not any(
        event.type.startswith(name[:-1]) if name.endswith("*") else event.type == name
        for name in wanted
    ):
        return False
    success = filters.get("delivery_success")
    return success is None or success == (not event.pending and not event.failed)
