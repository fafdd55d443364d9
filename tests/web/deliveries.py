"""Deliveries as Stripe signs them, and as nobody should."""

from __future__ import annotations

import hmac
import json
import time
from hashlib import sha256
from typing import Any

from tests.support.events import event_body

SECRET = "whsec_current"
ROLLED = "whsec_rolled"
URL = "/webhooks/stripe"


def signature(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """The v1 signature alone, also of bytes that Stripe's own package cannot sign."""
    seconds = int(time.time() if at is None else at)
    return hmac.new(secret.encode(), b"%d." % seconds + body, sha256).hexdigest()


def header(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """A Stripe-Signature header; `at` is in Unix seconds, now by default."""
    at = time.time() if at is None else at
    return f"t={int(at)},v1={signature(body, secret, at)}"


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """The headers of a delivery."""
    return {"Stripe-Signature": header(body, secret, at)}


def event(id: str = "evt_1", **fields: Any) -> bytes:
    """The body of an event of ours."""
    return json.dumps(event_body(id=id, **fields)).encode()
