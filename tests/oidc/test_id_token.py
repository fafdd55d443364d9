"""Whose word an ID token is: what is forged, old, or meant for others is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from app.oidc.errors import ProviderUnusable, TokenRefused, UnknownKey
from app.oidc.id_token import LEEWAY, Expected, claims_of, keys_of
from tests.support.provider import other_key, rsa_key, signed

ISSUER, CLIENT, NONCE = "https://login.example.com", "console", "nonce-of-this-sign-in"
NOW = int(time.time())
EXPECTED = Expected(ISSUER, CLIENT, NONCE, None)


def claims(**changed: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": CLIENT, "sub": "1001", "nonce": NONCE}
    said = {**usual, "iat": NOW, "exp": NOW + 300, **changed}
    return {name: value for name, value in said.items() if value is not None}


def keys(*published: Any) -> KeySet:
    return keys_of({"keys": [key.as_dict(private=False) for key in published or [rsa_key()]]})


def part(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def reason_of(token: object, known: KeySet | None = None) -> str:
    with pytest.raises(TokenRefused) as refused:
        claims_of(token, known or keys(), EXPECTED, NOW)
    return refused.value.reason


def test_a_good_token_says_who_it_is() -> None:
    said = claims_of(signed(claims(email="a@b.c"), rsa_key()), keys(), EXPECTED, NOW)
    assert (said["sub"], said["email"]) == ("1001", "a@b.c")


def test_keys_of_elliptic_curves_are_taken_too() -> None:
    key = other_key("second")
    assert claims_of(signed(claims(), key), keys(rsa_key(), key), EXPECTED, NOW)["sub"] == "1001"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "https://login.example.com/"}, "token_iss"),
        ({"iss": "https://evil.example"}, "token_iss"),
        ({"iss": None}, "token_iss"),
        ({"aud": "another-client"}, "token_aud"),
        ({"aud": ["another-client"]}, "token_aud"),
        ({"aud": None}, "token_aud"),
        ({"aud": [CLIENT, "another-client"]}, "token_azp"),
        ({"aud": [CLIENT, "another-client"], "azp": "another-client"}, "token_azp"),
        ({"azp": "another-client"}, "token_azp"),
        ({"nonce": "of another sign-in"}, "token_nonce"),
        ({"nonce": None}, "token_nonce"),
        ({"nonce": [NONCE]}, "token_nonce"),
        ({"sub": None}, "token_sub"),
        ({"sub": ""}, "token_sub"),
        ({"sub": 1001}, "token_sub"),
        ({"sub": "x" * 256}, "token_sub"),
        ({"exp": NOW - LEEWAY - 1}, "token_expired"),
        ({"exp": None}, "token_exp"),
        ({"exp": "never"}, "token_exp"),
        ({"exp": float("nan")}, "token_exp"),
        ({"iat": NOW + LEEWAY + 1}, "token_not_yet_valid"),
        ({"nbf": NOW + LEEWAY + 1}, "token_not_yet_valid"),
        ({"iat": None}, "token_iat"),
    ],
)
def test_a_token_that_says_something_else_than_it_should_is_refused(
    changed: dict[str, Any], reason: str
) -> None:
    assert reason_of(signed(claims(**changed), rsa_key())) == reason


ODD: tuple[Any, ...] = (0, -1, 1.5, True, "", "é", "x" * 999, [], ["a", 1], {}, {"a": [1]}, 10**400)


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "nonce", "exp", "iat", "nbf", "azp", "at_hash", "amr", "acr"]
)
def test_a_claim_of_any_form_is_taken_or_refused_and_nothing_else(claim: str) -> None:
    expected = EXPECTED._replace(access_token="an access token")
    for odd in ODD:
        token = signed(claims(**{claim: odd, "auth_time": odd}), rsa_key())
        with suppress(TokenRefused):
            claims_of(token, keys(), expected, NOW)


def test_clocks_may_differ_a_little() -> None:
    for changed in ({"exp": NOW - LEEWAY + 1}, {"iat": NOW + LEEWAY}):
        assert claims_of(signed(claims(**changed), rsa_key()), keys(), EXPECTED, NOW)


def test_an_access_token_of_somebody_else_is_noticed() -> None:
    expected = EXPECTED._replace(access_token="another")
    with pytest.raises(TokenRefused) as refused:
        claims_of(
            signed(claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), rsa_key()), keys(), expected, NOW
        )
    assert refused.value.reason == "token_at_hash"


def test_a_token_without_a_signature_is_refused() -> None:
    for name in ("none", "None", ""):
        token = f"{part({'alg': name, 'kid': 'first'})}.{part(claims())}."
        assert reason_of(token) == "token_signature"


def test_a_public_key_is_no_secret() -> None:
    """Else anybody could sign: a public key is published."""
    for encoding in ("PEM", "DER"):
        secret = rsa_key().as_bytes(encoding=encoding, private=False)
        head = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims())}"
        mac = hmac.digest(secret, head.encode(), hashlib.sha256)
        token = f"{head}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
        assert reason_of(token) == "token_signature"


def test_a_shared_secret_among_the_keys_is_not_taken() -> None:
    published = {"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}
    with pytest.raises(ProviderUnusable, match="no key"):
        keys_of(published)


def test_a_key_that_the_token_brings_itself_is_not_taken() -> None:
    own = RSAKey.generate_key(2048, {"kid": "first"})
    token = jwt.encode(
        {"alg": "RS256", "kid": "first", "jwk": own.as_dict(private=False)}, claims(), own
    )
    assert reason_of(token) == "token_signature"


def test_a_key_that_is_not_the_providers_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        claims_of(signed(claims(), other_key("third")), keys(), EXPECTED, NOW)


def test_a_token_that_was_changed_is_refused() -> None:
    head, _, signature = signed(claims(), rsa_key()).split(".")
    assert reason_of(f"{head}.{part(claims(sub='1'))}.{signature}") == "token_signature"


def test_a_key_for_encryption_signs_nothing() -> None:
    key = rsa_key().as_dict(private=False) | {"use": "enc"}
    with pytest.raises(UnknownKey):
        claims_of(signed(claims(), rsa_key()), keys_of({"keys": [key]}), EXPECTED, NOW)


@pytest.mark.parametrize("token", [None, 5, {}, ["a"]])
def test_where_there_is_no_token_that_is_said(token: object) -> None:
    assert reason_of(token) == "token_missing"


@pytest.mark.parametrize(
    "token", ["", "a.b.c", "é.é.é", "." * 9, "x" * 200_000, "a" * 600 + ".b.c"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert reason_of(token) == "token_signature"


def test_keys_that_cannot_be_read_do_not_hide_the_others() -> None:
    good = rsa_key().as_dict(private=False)
    odd = [{"kty": "RSA", "n": "!"}, {"kty": "EC", "crv": "P-0"}, {"kty": "AKP"}, "x", {}, None]
    assert len(keys_of({"keys": [*odd, good]}).keys) == 1
    for published in ({}, {"keys": None}, {"keys": odd}):
        with pytest.raises(ProviderUnusable):
            keys_of(published)
