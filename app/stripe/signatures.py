"""Whether Stripe signed a delivery: https://docs.stripe.com/webhooks#verify-manually."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from app.configuration.credentials import SigningSecret
from app.domain.errors import BadSignature

# Where Stripe delivers to.
WEBHOOK_PATH = "/webhooks/stripe"
# Stripe's own default: a delivery's time may differ this many seconds from ours, either way.
TOLERANCE = 300
# The scheme that counts; the others in a header are of Stripe's past or for its tests.
SCHEME = "v1"
_SECONDS = re.compile(r"[0-9]{1,12}\Z")
# A header as Stripe writes it. Any other is read part by part, which takes longer than the hash.
_USUAL = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})(?:,v0=[0-9a-f]{64})?\Z")


class SignedAtAnotherTime(BadSignature):
    """A delivery was signed too long before now, or after it: look at this host's clock."""


def verify(
    body: bytes, header: str, secrets: Sequence[SigningSecret], now: float
) -> tuple[str, SigningSecret]:
    """The body's text, and the one of the secrets that verifies it; `now` is in Unix seconds.

    Several secrets are valid while one is rolled. Raises BadSignature; the message says what to
    check, and holds nothing of the body, the header or a secret. The verdict is that of Stripe's
    own package, which reads the header as slowly as it hashes: a test holds the two equal.
    """
    seconds, signatures = read_header(header, now)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise BadSignature("the body is not UTF-8") from None  # the error quotes the body
    signed = b"%d.%b" % (seconds, body)
    for signing in secrets:
        secret = str(signing.secret)
        if not secret.strip():  # anyone can sign with an empty one
            continue
        expected = hmac.digest(secret.encode(), signed, "sha256").hex()
        if any(hmac.compare_digest(expected, signature) for signature in signatures):
            return text, signing
    raise BadSignature("no signing secret matches: look at STRIPE_WEBHOOK_SECRET")


def read_header(header: str, now: float) -> tuple[int, list[str]]:
    """The header's time in Unix seconds, and its signatures: all that can be judged without a body.

    Raises BadSignature for another form, for a time too far from `now`, and without a signature.
    """
    usual = _USUAL.match(header)
    if usual is not None:
        seconds, signatures = int(usual[1]), [usual[2]]
    else:
        seconds, signatures = _read(header)
    if abs(now - seconds) > TOLERANCE:
        raise SignedAtAnotherTime(f"signed over {TOLERANCE} s from now: look at this host's clock")
    if not signatures:
        raise BadSignature(f"the Stripe-Signature header has no {SCHEME} signature")
    return seconds, signatures


def _read(header: str) -> tuple[int, list[str]]:
    """The time of a header and its signatures."""
    # A space after a comma is no fault, and a sender may write one.
    header = header.replace(" ", "")
    if not header.isascii():  # compare_digest refuses other text with TypeError
        raise BadSignature("the Stripe-Signature header is not ASCII")
    items = [part.split("=", 2) for part in header.split(",")]
    return _only_time(items), _signatures(items)


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
