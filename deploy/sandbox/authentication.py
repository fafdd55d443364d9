"""API keys: every key of Stripe's form is accepted."""

import base64
import binascii
import re
from dataclasses import dataclass

from deploy.sandbox.errors import unauthenticated

_KEY = re.compile(r"(?P<kind>sk|rk)_(?P<mode>test|live)_[A-Za-z0-9_]+\Z")


@dataclass(frozen=True)
class Caller:
    """What a key says about its holder: the mode, and whether the key is restricted."""

    livemode: bool
    restricted: bool


def authenticate(authorization: str) -> Caller:
    """The caller by an `Authorization` header, Bearer or Basic. Raises StripeError (401)."""
    scheme, _, value = authorization.partition(" ")
    key = value.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    elif scheme.lower() != "bearer":
        raise unauthenticated(
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    match = _KEY.match(key)
    if match is None:
        raise unauthenticated(f"Invalid API Key provided: {key[:8]}****. Any sk_test_... will do.")
    return Caller(livemode=match["mode"] == "live", restricted=match["kind"] == "rk")
