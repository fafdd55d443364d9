"""Whether Stripe accepts the keys and delivers to a webhook endpoint of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from app.doctor.deployment import Deployment, Skipped
from app.doctor.result import Finding
from app.domain.event import EVENT_TYPES, TYPE_PREFIX
from app.domain.thin_event import THIN_TYPES
from app.operations import own_account
from app.stripe.client import StripeApi
from app.stripe.errors import StripeRefused, StripeUnavailable
from app.stripe.signatures import WEBHOOK_PATH

REDACTED = TYPE_PREFIX + "redacted"
DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_key(deployment: Deployment) -> Finding:
    """Whether the key may read VerificationSessions."""
    return _try_key("stripe key", "STRIPE_API_KEY", deployment.stripe())


def check_restricted_key(deployment: Deployment) -> Finding:
    """Whether the key for verified data is restricted, of the main key's mode, and accepted."""
    name, variable = "restricted key", "STRIPE_RESTRICTED_KEY"
    deployment.require(variable, "STRIPE_API_KEY", "STRIPE_API_BASE")
    settings = deployment.settings
    main, restricted = settings.stripe_api_key, settings.stripe_restricted_key
    if restricted is None:
        kind = "restricted" if str(main).startswith("rk_") else "an unrestricted key"
        message = f"not set: verified data is asked for with STRIPE_API_KEY, which is {kind}"
        return Finding(name, "ok", message)
    if settings.livemode != ("_live_" in str(restricted)):
        message = f"{variable} and STRIPE_API_KEY are of two modes"
        return Finding(name, "wrong", message, "Take both keys from one mode.")
    if not str(restricted).startswith("rk_"):
        message = f"{variable} is an unrestricted secret key"
        return Finding(name, "warning", message, "Make a restricted key (rk_…) at Stripe.")
    return _try_key(name, variable, StripeApi(str(restricted), settings.stripe_api_base))


def _try_key(name: str, variable: str, api: StripeApi) -> Finding:
    try:
        api.list_sessions({"limit": 1})
    except StripeUnavailable as failure:
        return Finding(
            name, "wrong", str(failure), "Make sure that this host can reach STRIPE_API_BASE."
        )
    except StripeRefused as failure:
        hint = (
            f"{variable} is not a key of this account any more: set a new one."
            if failure.status == 401
            else f"Give {variable} the right to read and write Identity at Stripe."
        )
        return Finding(name, "wrong", str(failure), hint)
    return Finding(name, "ok", "Stripe takes it")


def check_account(deployment: Deployment) -> Finding:
    """Whether the key is of the account that the ledger's sessions belong to."""
    name = "stripe account"
    livemode = deployment.settings.livemode
    account = deployment.stripe().own_account()
    if account is None:
        message = "Stripe does not say which account STRIPE_API_KEY is of"
        hint = "See for yourself that it is the one whose webhooks come here."
        return Finding(name, "warning", message, hint)
    known = own_account.known_account(deployment.ledger().cursors, livemode)
    if known is not None and known != account:
        message, _, hint = own_account.mismatch(account, known, livemode).partition(": ")
        return Finding(name, "wrong", message, hint[0].upper() + hint[1:] + ".")
    return Finding(name, "ok", account if known else f"{account}; the ledger has none yet")


def check_endpoint(deployment: Deployment) -> Finding:
    """Whether Stripe delivers all six types of event to an endpoint of ours."""
    name = "webhook endpoint"
    api = deployment.stripe()
    try:
        found = api.list_webhook_endpoints().items
    except StripeRefused as failure:
        if failure.status != 403:
            raise Skipped(str(failure)) from None
        hint = "Give STRIPE_API_KEY the right to read Webhook Endpoints."
        return Finding(name, "warning", "the key has no right to read it", hint)
    destinations, unread = _destinations(api)
    found = [*found, *destinations]
    ours = [one for one in found if _path(one).rstrip("/").endswith(WEBHOOK_PATH)]
    enabled = [one for one in ours if one.get("status") == "enabled"]
    if not ours:
        message = f"none of the {len(found)} at Stripe ends in {WEBHOOK_PATH}{unread}"
        return Finding(
            name,
            "wrong",
            message,
            f"Add https://YOUR-HOST{WEBHOOK_PATH} there with {TYPE_PREFIX}* by name.",
        )
    if not enabled:
        message = f"{', '.join(_named(one) for one in ours)} is disabled"
        return Finding(name, "wrong", message, "Enable it at Stripe, then run `backfill`.")
    return _judge(name, enabled)


def _destinations(api: StripeApi) -> tuple[list[dict[str, Any]], str]:
    """The event destinations of API v2, as webhook endpoints; and why they were not looked at.

    https://docs.stripe.com/api/v2/core/event-destinations. Our reading, where nothing says: they
    may stand beside the endpoints of API v1 or be in that list too, and are judged alike.
    """
    try:
        found = api.list_event_destinations().items
    except StripeRefused as failure:
        return [], f"; its event destinations could not be read ({failure})"
    return [
        {
            "url": (one.get("webhook_endpoint") or {}).get("url") or "",
            "status": one.get("status"),
            "enabled_events": one.get("enabled_events"),
            "api_version": one.get("snapshot_api_version"),
            "thin": one.get("event_payload") == "thin",
        }
        for one in found
        if one.get("type") == "webhook_endpoint"
    ], ""


def _judge(name: str, endpoints: list[dict[str, Any]]) -> Finding:
    """Check all of them: a team with two environments has two with the same path."""
    faults = [f"{_named(one)}: {fault}" for one in endpoints for fault in faults_of(one)]
    if faults:
        message = "; ".join(faults)
        return Finding(name, "wrong", message, "Correct it at Stripe, then run `backfill`.")
    newer = [one for one in endpoints if _is_newer(one.get("api_version"))]
    if newer:
        message = f"{_named(newer[0])} sends API version {newer[0]['api_version']}"
        hint = f"Update this product, which knows {stripe.api_version}, or pin the endpoint to it."
        return Finding(name, "warning", message, hint)
    message = ", ".join(
        f"{_named(one)}, thin events"
        if one.get("thin")
        else f"{_named(one)}, API version {one.get('api_version') or 'of the account'}"
        for one in endpoints
    )
    return Finding(name, "ok", message)


def faults_of(endpoint: Mapping[str, Any]) -> list[str]:
    """Why this endpoint does not deliver every event to us; [] if it does."""
    faults = []
    if _path(endpoint).endswith("/"):
        faults.append("its address ends in a slash, which is not found here")
    named = set(endpoint.get("enabled_events") or ())
    if "*" in named:
        if REDACTED not in named:
            faults.append(f"`*` does not send {REDACTED}: subscribe to it by name")
        return faults
    missing = sorted((THIN_TYPES if endpoint.get("thin") else EVENT_TYPES) - named)
    if missing:
        faults.append(f"does not send {', '.join(missing)}")
    return faults


def _path(endpoint: Mapping[str, Any]) -> str:
    return urlsplit(str(endpoint.get("url", ""))).path


def _named(endpoint: Mapping[str, Any]) -> str:
    """The host and path: other parts of a URL may hold a password."""
    return f"{urlsplit(str(endpoint.get('url', ''))).hostname}{_path(endpoint)}"


def _is_newer(version: object) -> bool:
    """Whether an API version is later than the one that this product was made for."""
    found, known = DATED.match(str(version)), DATED.match(stripe.api_version)
    return bool(found and known and found[0] > known[0])
