"""Whether Stripe signed a delivery: https://docs.stripe.com/webhooks#verify-manually."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Secret
from stripe import SignatureVerificationError, WebhookSignature

from app.domain.errors import BadSignature

# Stripe's own default: a delivery's time may differ this many seconds from ours, either way.
TOLERANCE = 300
_SECONDS = re.compile(r"[0-9]{1,12}\Z")


def verify(body: bytes, header: str, secrets: Sequence[Secret], now: float) -> str:
    """The body's text, if one of `secrets` verifies it; `now` is in Unix seconds.

    Several secrets are valid while one is rolled. Raises BadSignature; the message says what to
    check, and holds nothing of the body, the header or a secret.
    """
    header = header.replace(" ", "")  # stripe's parser takes no space after a comma
    if not header.isascii():  # compare_digest refuses other text with TypeError
        raise BadSignature("the Stripe-Signature header is not ASCII")
    times = [part[2:] for part in header.split(",") if part.startswith("t=")]
    # Exactly one: of two, we might check the age of one and stripe the signature of the other.
    if len(times) != 1 or not _SECONDS.match(times[0]):
        raise BadSignature("the Stripe-Signature header has no timestamp, or several")
    # stripe's own tolerance compares with the host's clock, and accepts times in the future.
    if abs(now - int(times[0])) > TOLERANCE:
        raise BadSignature(f"signed over {TOLERANCE} s from now: look at this host's clock")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadSignature("the body is not UTF-8") from None  # the error quotes the body
    for secret in secrets:
        try:
            WebhookSignature.verify_header(text, header, str(secret), None)
        except SignatureVerificationError:
            continue
        return text
    raise BadSignature("no signing secret matches: look at STRIPE_WEBHOOK_SECRET")
