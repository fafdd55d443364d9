"""The secrets that the settings name, each with what it is good for.

What cannot be one is told here, and no message quotes it: a placeholder that was pasted from a
description would verify what anybody signs with it.
"""

from __future__ import annotations

import base64
import re
from typing import NamedTuple

from starlette.datastructures import Secret

# Bytes. Standard Webhooks asks for a secret of 24 to 64.
MIN_NOTIFY_KEY = 24
MODES = {"live": True, "test": False}
# https://docs.stripe.com/webhooks#verify-official-libraries: no character of Stripe's is another.
SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]+\Z")
# As descriptions write them, ours included.
PLACEHOLDER = re.compile(r"…|\.\.\.")


# A random token of 16 characters cannot be guessed.
MIN_TOKEN = 16
TOKEN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")
# What a token may do: read sessions and standings; create, update, cancel and refresh; redact, and
# see what a person has submitted.
READ, WRITE, REDACT = "read", "write", "redact"
SCOPES = frozenset({READ, WRITE, REDACT})


class ApiToken(NamedTuple):
    """What a caller of our API bears, and what it may do."""

    name: str  # for logs and metrics
    secret: Secret
    scopes: frozenset[str] = SCOPES


class SigningSecret(NamedTuple):
    """What Stripe signs deliveries with, and the mode of all that it may sign."""

    secret: Secret
    livemode: bool | None  # None: of either


def read_signing_secrets(text: str) -> tuple[SigningSecret, ...]:
    """`whsec_…,live:whsec_…,test:whsec_…`. Raises ValueError, which says what is wrong."""
    found: dict[str, SigningSecret] = {}
    for part in split_list(text):
        mode, bound, secret = part.rpartition(":")
        _refuse_placeholder(secret, "its endpoint's own signing secret")
        if not SIGNING_SECRET.match(secret) or (bound and mode not in MODES):
            raise ValueError(
                "has to be one or several signing secrets (whsec_…), comma-separated, each alone "
                "or after its mode (live:whsec_…, test:whsec_…)"
            )
        read = SigningSecret(Secret(secret), MODES.get(mode))
        if found.setdefault(secret, read).livemode != read.livemode:
            raise ValueError("has one signing secret in two modes")
    if not found:
        raise ValueError("has no signing secret in it")
    return tuple(found.values())


def read_api_tokens(text: str) -> tuple[ApiToken, ...]:
    """`token,name:token,name:token:read+write`. Raises ValueError, which says what is wrong.

    Two tokens may have one name, while one is rolled. A token without a name is called by its
    place: `#1` is the first.
    """
    tokens = [
        _read_api_token(part, f"#{place}") for place, part in enumerate(split_list(text), start=1)
    ]
    if len({str(token.secret) for token in tokens}) < len(tokens):
        raise ValueError("has one token twice")
    return tuple(tokens)


def _read_api_token(text: str, unnamed: str) -> ApiToken:
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError("has an entry with more than name:token:scopes: no token has a colon")
    name, secret, *scopes = parts if len(parts) > 1 else [unnamed, text]
    if len(secret) < MIN_TOKEN or not secret.isascii():
        raise ValueError(f"has a token of under {MIN_TOKEN} ASCII characters")
    if len(parts) > 1 and not TOKEN_NAME.match(name):
        raise ValueError("has a name that is not of 1 to 32 letters, digits and _.-")
    granted = SCOPES if not scopes else frozenset(scopes[0].split("+"))
    if not granted <= SCOPES:
        raise ValueError("has a scope that is not read, write or redact, joined by +")
    return ApiToken(name, Secret(secret), granted)


def read_notify_secrets(text: str) -> tuple[Secret, ...]:
    """`whsec_…,whsec_…`, each of base64. Raises ValueError, which says what is wrong."""
    for secret in split_list(text):
        _refuse_placeholder(secret, "a secret of your own")
        try:
            encoded = secret.removeprefix("whsec_").rstrip("=")
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            key = b""
        if not secret.startswith("whsec_") or len(key) < MIN_NOTIFY_KEY:
            raise ValueError("has to be one or several whsec_… of 24 bytes or more in base64")
    return tuple(Secret(secret) for secret in split_list(text))


def read_api_key(text: str) -> Secret:
    """A key of Stripe's API. Raises ValueError, which says what is wrong."""
    _refuse_placeholder(text, "your account's own key")
    # https://docs.stripe.com/keys/organization-api-keys; that the mode follows is our reading.
    if not re.match(r"([sr]k|sk_org)_(test|live)_\S+\Z", text):
        raise ValueError("has to be a secret or restricted key (sk_test_…, rk_live_…)")
    return Secret(text)


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, without empty ones."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _refuse_placeholder(text: str, instead: str) -> None:
    """Raises ValueError for what a description writes in a secret's place."""
    if PLACEHOLDER.search(text):
        raise ValueError(f"holds a placeholder from a description: put {instead} there")
