"""API keys: every key of Stripe's form is accepted.

A key belongs to the sandbox's own account, unless it names another: `sk_test_acct_other_1` is a key
of `acct_other`. `sk_org_test_…` and `sk_org_live_…` are an organization's.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from deploy.sandbox.errors import unauthenticated

_KEY = re.compile(
    r"(?P<kind>sk|rk|sk_org)_(?P<mode>test|live)_"
    r"(?:(?P<account>acct_[A-Za-z0-9]+)(?:_[A-Za-z0-9_]*)?|[A-Za-z0-9_]+)\Z"
)


@dataclass(frozen=True)
class Key:
    """What a key says about its holder. `account` is None for the sandbox's own."""

    livemode: bool
    restricted: bool
    organization: bool = False
    account: str | None = None


def authenticate(authorization: str) -> Key:
    """The key of an `Authorization` header, Bearer or Basic. Raises StripeError (401)."""
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
    return Key(
        livemode=match["mode"] == "live",
        # An organization's keys have permissions of their own: here they may see everything.
        restricted=match["kind"] != "sk",
        organization=match["kind"] == "sk_org",
        account=match["account"],
    )
