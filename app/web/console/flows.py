"""What a browser keeps while it is at the provider: a signed cookie, for ten minutes."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import NamedTuple

from starlette.datastructures import QueryParams

from app.configuration.single_sign_on import SingleSignOn
from app.oidc.errors import (
    NotBegunHere,
    ProviderAway,
    ProviderUnusable,
    RefusedByProvider,
    TokenRefused,
)
from app.web.console.sessions import TimedSigner, secret_of

FLOW_COOKIE = "identity_console_sign_in"
# Below it are the addresses that begin and end a sign-in, and nothing else.
FLOW_PATH = "/console/sign-in/oidc"
LASTS = 600  # seconds
MAX_COOKIE = 3_800  # bytes, of the 4,096 that browsers keep with name and attributes
# What a provider may say instead of a code, by who could do something about it.
# https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
# https://openid.net/specs/openid-connect-core-1_0.html#AuthError
TO_THE_PERSON = (
    *("access_denied", "login_required", "consent_required", "interaction_required"),
    "account_selection_required",
)
PASSING = ("temporarily_unavailable", "server_error")
OURS = (
    *("invalid_request", "invalid_scope", "unauthorized_client", "unsupported_response_type"),
    *("request_not_supported", "registration_not_supported"),
)


class Flow(NamedTuple):
    """One sign-in under way. Nobody who does not have this browser's cookie can end it."""

    state: str
    nonce: str
    verifier: str  # PKCE's
    back: str  # where to go after it: an address of the console's own

    @classmethod
    def begun(cls, back: str) -> Flow:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        return cls(state, nonce, verifier, back)


class Flows:
    """Makes and reads the cookies."""

    def __init__(self, settings: SingleSignOn, home: str, now: Callable[[], float]) -> None:
        """`home` is the address to go back to where another would be too long."""
        self._signer = TimedSigner(secret_of(settings), "sign-in by the provider", now)
        self._home = home

    def cookie_of(self, flow: Flow) -> str:
        """The cookie of a sign-in, from now on for LASTS seconds."""
        cookie = self._signer.signed(flow)
        short = len(cookie) <= MAX_COOKIE
        return cookie if short else self._signer.signed(flow._replace(back=self._home))

    def ended(self, cookie: str, answer: QueryParams) -> Flow:
        """The sign-in that the provider's answer belongs to. Raises NotBegunHere."""
        texts = self._signer.unsigned(cookie, LASTS)
        if texts is None:
            raise NotBegunHere
        flow = Flow(*texts)
        given = answer.getlist("state")
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), flow.state.encode()):
            raise NotBegunHere
        return flow


def code_in(answer: QueryParams, issuer: str, *, named: bool) -> str:
    """The code that the provider sends by a browser; `named`: it always says who it is.

    Raises SignInRefused, ProviderAway and ProviderUnusable.
    """
    issuers = answer.getlist("iss")
    if issuers not in ([issuer], []) or (named and not issuers):
        raise TokenRefused("other_issuer", "another provider answers than the one that was asked")
    if "error" in answer:
        raise _refusal(answer["error"])
    codes = answer.getlist("code")
    if len(codes) != 1 or not codes[0]:
        raise ProviderUnusable("the provider sends neither a code nor an error")
    return codes[0]


def _refusal(error: str) -> Exception:
    """What comes of an error; one that we do not know is not repeated."""
    if error in TO_THE_PERSON:
        return RefusedByProvider(error, f"the provider has not signed you in ({error})")
    if error in PASSING:
        return ProviderAway(f"the provider cannot sign anybody in now ({error})")
    name = error if error in OURS else "an error that is not in the standard"
    return ProviderUnusable(
        f"the provider does not take what the console asks ({name}): check CONSOLE_OIDC_SCOPES, "
        "and what it knows of the client"
    )
