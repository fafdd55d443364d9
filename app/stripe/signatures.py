"""Whether Stripe signed a delivery: https://docs.stripe.com/webhooks#verify-manually."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from starlette.datastructures import Secret

from app.domain.errors import BadSignature

# Where Stripe delivers to.
WEBHOOK_PATH = "/webhooks/stripe"
# Stripe's own default: a delivery's time may differ this many seconds from ours, either way.
TOLERANCE = 300
# The scheme that counts; the others in a header are of Stripe's past or for its tests.
SCHEME = "v1"
_SECONDS = re.compile(r"[0-9]{1,12}\Z")


def verify(body: bytes, header: str, secrets: Sequence[Secret], now: float) -> str:
    """The body's text, if one of `secrets` verifies it; `now` is in Unix seconds.

    Several secrets are valid while one is rolled. Raises BadSignature; the message says what to
    check, and holds nothing of the body, the header or a secret. The verdict is that of Stripe's
    own package, which reads the header as slowly as it hashes: a test holds the two equal.
    """
    # A space after a comma is no fault, and a sender may write one.
    header = header.replace(" ", "")
    if not header.isascii():  # compare_digest refuses other text with TypeError
        raise BadSignature("the Stripe-Signature header is not ASCII")
    items = [part.split("=", 2) for part in header.split(",")]
    seconds = _only_time(items)
    if abs(now - seconds) > TOLERANCE:
        raise BadSignature(f"signed over {TOLERANCE} s from now: look at this host's clock")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadSignature("the body is not UTF-8") from None  # the error quotes the body
    signatures = _signatures(items)
    signed = b"%d.%b" % (seconds, body)
    for secret in map(str, secrets):
        if not secret.strip():  # anyone can sign with an empty one
            continue
        expected = hmac.digest(secret.encode(), signed, "sha256").hex()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return text
    raise BadSignature("no signing secret matches: look at STRIPE_WEBHOOK_SECRET")


def _only_time(items: Sequence[Sequence[str]]) -> int:
    """The time of the one `t=`, in Unix seconds."""
    times = [item[1:] for item in items if item[0] == "t"]
    # Exactly one: of two, we might check the age of one and the signature of the other.
    if len(times) != 1 or len(times[0]) != 1 or not _SECONDS.match(times[0][0]):
        raise BadSignature("the Stripe-Signature header has no timestamp, or several")
    return int(times[0][0])


def _signatures(items: Sequence[Sequence[str]]) -> list[str]:
    """All signatures of the scheme that counts; none if one of them has no value."""
    found = [item[1:2] for item in items if item[0] == SCHEME]
    return [value[0] for value in found] if all(found) else []
