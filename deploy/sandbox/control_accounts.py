"""`/_sandbox/accounts` and `/_sandbox/event_destinations`: whose events go where.

What a dashboard is for at Stripe: connecting accounts, and endpoints of an organization.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.routing import Route

from deploy.sandbox.accounts import OWN, Accounts
from deploy.sandbox.clock import Clock
from deploy.sandbox.control_http import JSON, check, controlled, only
from deploy.sandbox.endpoints import EVENTS_FROM, SELF, Endpoint
from deploy.sandbox.events import TYPES
from deploy.sandbox.ids import Ids

_OWNER = re.compile(r"acct_[A-Za-z0-9]+\Z|organization\Z")


class AccountControl:
    """The operations, as those of `control.Control`."""

    def __init__(
        self, accounts: Accounts, endpoints: dict[str, Endpoint], clock: Clock, ids: Ids
    ) -> None:
        self._accounts = accounts
        self._endpoints = endpoints
        self._clock = clock
        self._ids = ids

    def list_accounts(self, body: JSON, _: str) -> JSON:
        """Each connected account's platform; null where access was revoked."""
        return {"own": OWN, "platforms": self._accounts.platforms}

    def connect_account(self, body: JSON, account: str) -> JSON:
        """Connect an account to a platform, or revoke the platform's access (null)."""
        only(body, "platform")
        platform = body.get("platform")
        check(_is_owner(account) and account != platform, "an account is acct_… and not its own")
        check(platform is None or _is_owner(platform), "platform must be acct_… or null")
        self._accounts.platforms[account] = platform
        return self.list_accounts(body, account)

    def list_destinations(self, body: JSON, _: str) -> JSON:
        """Every endpoint and destination, of every owner and mode, without their secrets."""
        return {"data": [_show(endpoint) for endpoint in self._endpoints.values()]}

    def add_destination(self, body: JSON, _: str) -> JSON:
        """Add one; the answer has its signing secret."""
        given = _read_destination(body)
        types = TYPES if given["event_payload"] == "snapshot" else [f"v1.{name}" for name in TYPES]
        endpoint = Endpoint(
            id=self._ids.new("ed" if given["livemode"] else "ed_test", 60),
            url=given["url"],
            secret=given["secret"] or self._ids.new("whsec", 32),
            livemode=given["livemode"],
            created=int(self._clock.now()),
            enabled_events=given["enabled_events"] or list(types),
            owner=given["owner"],
            events_from=given["events_from"],
            description=given["description"],
            thin=given["event_payload"] == "thin",
        )
        self._endpoints[endpoint.id] = endpoint
        return _show(endpoint) | {"secret": endpoint.secret}

    def remove_destination(self, body: JSON, identifier: str) -> JSON:
        """Remove one; what it was still to receive is given up."""
        check(identifier in self._endpoints, f"there is no destination {identifier}")
        return _show(self._endpoints.pop(identifier))


def routes(control: AccountControl, changed: Callable[[], None]) -> list[Route]:
    """The paths under /_sandbox."""
    route = partial(controlled, changed)
    return [
        route("GET", "/accounts", control.list_accounts),
        route("POST", "/accounts/{id}", control.connect_account),
        route("GET", "/event_destinations", control.list_destinations),
        route("POST", "/event_destinations", control.add_destination),
        route("DELETE", "/event_destinations/{id}", control.remove_destination),
    ]


def _read_destination(body: JSON) -> JSON:
    """The fields of a destination, those not given as they are by default. Raises ValueError."""
    only(body, *_DESTINATION)
    given = {name: body.get(name, default) for name, (default, _, _) in _DESTINATION.items()}
    for name, (_, fits, expected) in _DESTINATION.items():
        check(fits(given[name]), f"{name} must be {expected}")
    return given


def _show(endpoint: Endpoint) -> JSON:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "owner": endpoint.owner,
        "livemode": endpoint.livemode,
        "events_from": endpoint.events_from,
        "enabled_events": endpoint.enabled_events,
        "event_payload": "thin" if endpoint.thin else "snapshot",
    }


def _is_owner(value: Any) -> bool:
    return isinstance(value, str) and _OWNER.match(value) is not None


def _are(values: Any, known: tuple[str, ...] | None) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, str) and (known is None or value in known) for value in values
    )


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


# Each field of a destination: its default, its test, and what it must be.
_DESTINATION: dict[str, tuple[Any, Callable[[Any], bool], str]] = {
    "url": ("", lambda v: isinstance(v, str) and v.startswith("http"), "an address"),
    "secret": (None, _is_text, "text"),
    "owner": (OWN, _is_owner, "acct_… or organization"),
    "livemode": (False, lambda v: isinstance(v, bool), "true or false"),
    "events_from": ([SELF], lambda v: _are(v, EVENTS_FROM), f"of: {', '.join(EVENTS_FROM)}"),
    "enabled_events": ([], lambda v: _are(v, None), "names of events"),
    "event_payload": ("snapshot", lambda v: v in ("snapshot", "thin"), "snapshot or thin"),
    "description": (None, _is_text, "text"),
}
