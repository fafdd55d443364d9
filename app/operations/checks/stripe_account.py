"""Whether Stripe takes our keys and delivers to us."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe

from app.domain.event import EVENT_TYPES, TYPE_PREFIX
from app.operations.checks.finding import Finding
from app.operations.checks.patient import NotLooked, Patient
from app.stripe_api import StripeApi, StripeRefused, StripeUnavailable

PATH = "/webhooks/stripe"
REDACTED = TYPE_PREFIX + "redacted"
DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def check_key(patient: Patient) -> Finding:
    """Whether the key may read VerificationSessions."""
    return _try_key("stripe key", "STRIPE_API_KEY", patient.stripe_api())


def check_restricted_key(patient: Patient) -> Finding:
    """Whether the key for verified data is restricted, of the main key's mode, and taken."""
    name, variable = "restricted key", "STRIPE_RESTRICTED_KEY"
    patient.asks(variable, "STRIPE_API_KEY", "STRIPE_API_BASE")
    settings = patient.settings
    main, restricted = settings.stripe_api_key, settings.stripe_restricted_key
    if restricted is None:
        kind = "restricted" if str(main).startswith("rk_") else "an unrestricted key"
        told = f"not set: verified data is asked for with STRIPE_API_KEY, which is {kind}"
        return Finding(name, "ok", told)
    if settings.livemode != ("_live_" in str(restricted)):
        told = f"{variable} and STRIPE_API_KEY are of two modes"
        return Finding(name, "wrong", told, "Take both keys from one mode.")
    if not str(restricted).startswith("rk_"):
        told = f"{variable} is an unrestricted secret key"
        return Finding(name, "warning", told, "Make a restricted key (rk_…) at Stripe.")
    return _try_key(name, variable, StripeApi(str(restricted), settings.stripe_api_base))


def _try_key(name: str, variable: str, api: StripeApi) -> Finding:
    try:
        api.list_sessions({"limit": 1})
    except StripeUnavailable as failure:
        return Finding(name, "wrong", str(failure), "See that this host may call STRIPE_API_BASE.")
    except StripeRefused as failure:
        do = (
            f"{variable} is not a key of this account any more: set a new one."
            if failure.status == 401
            else f"Give {variable} the right to read and write Identity at Stripe."
        )
        return Finding(name, "wrong", str(failure), do)
    return Finding(name, "ok", "Stripe takes it")


def check_endpoint(patient: Patient) -> Finding:
    """Whether Stripe delivers all six types to an endpoint of ours."""
    name = "webhook endpoint"
    api = patient.stripe_api()
    try:
        found = api.list_webhook_endpoints().items
    except StripeRefused as failure:
        if failure.status != 403:
            raise NotLooked(str(failure)) from None
        do = "Give STRIPE_API_KEY the right to read Webhook Endpoints."
        return Finding(name, "warning", "the key may not look at it", do)
    ours = [one for one in found if _path(one).rstrip("/").endswith(PATH)]
    enabled = [one for one in ours if one.get("status") == "enabled"]
    if not ours:
        told = f"none of the {len(found)} at Stripe ends in {PATH}"
        return Finding(
            name, "wrong", told, f"Add https://YOUR-HOST{PATH} there with {TYPE_PREFIX}* by name."
        )
    if not enabled:
        told = f"{', '.join(_named(one) for one in ours)} is disabled"
        return Finding(name, "wrong", told, "Enable it at Stripe, then run `backfill`.")
    return _judge(name, enabled)


def _judge(name: str, endpoints: list[dict[str, Any]]) -> Finding:
    """Several may end alike, in a team of two environments: all of them are looked at."""
    faults = [f"{_named(one)}: {fault}" for one in endpoints for fault in faults_of(one)]
    if faults:
        told = "; ".join(faults)
        return Finding(name, "wrong", told, "Mend it at Stripe, then run `backfill`.")
    newer = [one for one in endpoints if _is_newer(one.get("api_version"))]
    if newer:
        told = f"{_named(newer[0])} sends API version {newer[0]['api_version']}"
        do = f"Update this product, which knows {stripe.api_version}, or pin the endpoint to it."
        return Finding(name, "warning", told, do)
    told = ", ".join(
        f"{_named(one)}, API version {one.get('api_version') or 'of the account'}"
        for one in endpoints
    )
    return Finding(name, "ok", told)


def faults_of(endpoint: Mapping[str, Any]) -> list[str]:
    """What keeps events from us at this endpoint."""
    faults = []
    if _path(endpoint).endswith("/"):
        faults.append("its address ends in a slash, which is not found here")
    named = set(endpoint.get("enabled_events") or ())
    if "*" in named:
        if REDACTED not in named:
            faults.append(f"`*` does not send {REDACTED}: subscribe to it by name")
        return faults
    missing = sorted(EVENT_TYPES - named)
    if missing:
        faults.append(f"does not send {', '.join(missing)}")
    return faults


def _path(endpoint: Mapping[str, Any]) -> str:
    return urlsplit(str(endpoint.get("url", ""))).path


def _named(endpoint: Mapping[str, Any]) -> str:
    """Host and path: the rest of an address may hold a password."""
    return f"{urlsplit(str(endpoint.get('url', ''))).hostname}{_path(endpoint)}"


def _is_newer(version: object) -> bool:
    """Whether the date of an API version lies after the one that this version was made for."""
    found, known = DATED.match(str(version)), DATED.match(stripe.api_version)
    return bool(found and known and found[0] > known[0])
