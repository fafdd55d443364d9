"""Stripe accounts: which one a call is about, and which accounts belong together.

What Stripe says (https://docs.stripe.com/context, https://docs.stripe.com/keys/organization-api-keys,
https://docs.stripe.com/changelog/basil/2025-04-30/additional-context-organization-events):

- `Stripe-Account: acct_c` and `Stripe-Context: acct_c` let a platform's key act as its connected
  account.
- An organization's key (`sk_org_…`) needs `Stripe-Context` on every call, with a path from the
  organization down: `acct_p` for a member, `acct_p/acct_c` for an account connected to a member.
- An event of a connected account carries `account` and `context`; one that an organization's
  endpoint receives carries `context`.

Our reading, where nothing says: `context` of an event is the path from the endpoint's owner down,
as the header's is; an event of the endpoint's own account has neither field; both headers at once
are refused; and answers of the API carry neither field, so that no reader of a list relies on them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from deploy.sandbox.authentication import Key
from deploy.sandbox.errors import StripeError

# The account of every key that names no other (see `authentication`).
OWN = "acct_1SandboxIdentity0"
# What owns an endpoint that receives the events of a whole organization.
ORGANIZATION = "organization"

_ACCOUNT = re.compile(r"acct_[A-Za-z0-9]+\Z")
# Platform, connected account, recipient: no path of Stripe's is longer.
_MAX_PATH = 3


class Scope(NamedTuple):
    """What one caller sees: the objects of one account in one mode."""

    account: str
    livemode: bool


@dataclass(frozen=True)
class Caller:
    """Who calls: the scope, and whether the key is a restricted one."""

    scope: Scope
    restricted: bool


class Accounts:
    """Who is connected to whom.

    `platforms` has each connected account's platform. An account is connected by the first call
    that names it; None is an account whose platform has lost access to it.
    """

    def __init__(self) -> None:
        self.platforms: dict[str, str | None] = {}

    def path(self, account: str) -> list[str]:
        """The account below its platforms: `[acct_p, acct_c]`, or `[acct_p]` if it has none."""
        path = [account]
        while (platform := self.platforms.get(path[0])) and len(path) < _MAX_PATH:
            path.insert(0, platform)
        return path

    def resolve(self, key: Key, headers: Mapping[str, str]) -> Caller:
        """Whom a call is about. Raises StripeError (400, 403)."""
        return Caller(Scope(self._account(key, headers), key.livemode), key.restricted)

    def _account(self, key: Key, headers: Mapping[str, str]) -> str:
        account, context = headers.get("stripe-account"), headers.get("stripe-context")
        if account and context:
            raise StripeError(400, "Give Stripe-Account or Stripe-Context, not both.")
        if key.organization:
            return self._of_organization(context, headers)
        current = key.account or OWN
        for name in _segments(account or context or ""):
            current = self._connected(name, current)
        return current

    def _of_organization(self, context: str | None, headers: Mapping[str, str]) -> str:
        if not context:
            raise StripeError(400, "An organization's key needs the Stripe-Context header.")
        if "stripe-version" not in headers:
            raise StripeError(400, "An organization's key needs the Stripe-Version header.")
        member, *below = _segments(context)
        if member in self.platforms:
            # A connected account is reached through its platform only.
            raise _no_access(member)
        for name in below:
            member = self._connected(name, member)
        return member

    def _connected(self, account: str, platform: str) -> str:
        if account == platform:
            return account
        if self.platforms.setdefault(account, platform) != platform:
            raise _no_access(account)
        return account


def _segments(path: str) -> list[str]:
    if not path:
        return []
    names = path.split("/")
    for name in names:
        if not _ACCOUNT.match(name):
            raise StripeError(400, f"Not a path of accounts (acct_…): {path[:80]}")
    if len(names) > _MAX_PATH:
        raise StripeError(400, f"A path of accounts has at most {_MAX_PATH}: {path[:80]}")
    return names


def _no_access(account: str) -> StripeError:
    return StripeError(
        403,
        f"The provided key does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked.",
        code="account_invalid",
    )
