"""Whether an ID token is the provider's, is for us, and is of the sign-in that it came with.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import (
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

from app.oidc.errors import ProviderUnusable, TokenRefused, UnknownKey

# Signatures by a key of which only the half that verifies is published: no `none`, and no HS…,
# which anybody could make who takes that half for a secret.
ALGORITHMS = (
    *("RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512"),
)
KEY_TYPES = ("RSA", "EC")
MAX_SUBJECT = 255  # characters, by the standard; it has to go into a cookie
LEEWAY = 60  # seconds that the clocks may differ
CLOCKS = "compare this server's clock with the provider's"


class Expected(NamedTuple):
    """What a token has to say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None  # that it came with


def keys_of(document: Mapping[str, Any]) -> KeySet:
    """The provider's keys; one that we cannot read is as if it was not there.

    Raises ProviderUnusable if there is none.
    """
    published = document.get("keys")
    keys = [_key(one) for one in published] if isinstance(published, list) else []
    known = [key for key in keys if key is not None]
    if not known:
        raise ProviderUnusable("the provider publishes no key that signs by RSA or ECDSA")
    return KeySet(known)


def claims_of(token: object, keys: KeySet, expected: Expected, now: int) -> dict[str, Any]:
    """What the token says of the person. `now` is in Unix seconds. Raises TokenRefused."""
    if not isinstance(token, str):
        raise _refused("missing", "is missing: is `openid` among the scopes that it allows?")
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    try:
        decoded = jwt.decode(token, keys, registry=registry)
    except InvalidKeyIdError:
        raise UnknownKey from None
    except (JoseError, ValueError, TypeError) as error:
        raise _refused("signature", f"is not signed as it should be ({_name(error)})") from None
    _check(decoded, expected, now)
    if len(decoded.claims["sub"]) > MAX_SUBJECT:
        raise _refused("sub", "has a longer `sub` than the standard allows")
    return dict(decoded.claims)


def _check(token: jwt.Token, expected: Expected, now: int) -> None:
    claims = CodeIDToken(
        token.claims,
        token.header,
        {
            "iss": {"essential": True, "value": expected.issuer},
            "aud": {"essential": True, "value": expected.client_id},
            "sub": {"essential": True},
        },
        {
            "nonce": expected.nonce,
            "client_id": expected.client_id,
            "access_token": expected.access_token,
        },
    )
    try:
        claims.validate(now=now, leeway=LEEWAY)
    except ExpiredTokenError:
        raise _refused("expired", f"has expired: {CLOCKS}") from None
    except ClaimError as error:
        if error.claim in ("iat", "nbf") and not isinstance(error, MissingClaimError):
            raise _refused("not_yet_valid", f"is of the future: {CLOCKS}") from None
        raise _refused(
            error.claim, f"has another `{error.claim}` than it should, or none"
        ) from None
    except (ValueError, TypeError) as error:  # as an `at_hash` that is no text
        raise _refused("claims", f"has claims of another form ({_name(error)})") from None


def _key(published: object) -> Key | None:
    if not isinstance(published, dict) or published.get("kty") not in KEY_TYPES:
        return None
    try:
        return JWKRegistry.import_key(published)
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _refused(reason: str, what: str) -> TokenRefused:
    return TokenRefused(f"token_{reason}", f"the provider's token {what}")


def _name(error: Exception) -> str:
    return type(error).__name__
