"""Single sign-on for the console (OpenID Connect) as the environment names it.

No message quotes what it says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult

from starlette.datastructures import Secret

from app.configuration.addresses import check_http_url, is_this_host
from app.configuration.console_people import ClaimedRole
from app.configuration.extras import require

# Sessions are signed by a key that is made of it: what can be guessed would make them guessable.
MIN_SECRET = 16
TOKEN = re.compile(r"[!-~]{1,255}\Z")
CLAIM = re.compile(r"[!-~]{1,128}\Z")
# What the provider has to lead a browser back to, below CONSOLE_URL.
CALLBACK_PATH = "/console/sign-in/oidc/callback"


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The provider, as which client we come to it, and who may do what of those it names."""

    issuer: str
    client_id: str
    client_secret: Secret
    console_url: str
    roles: tuple[ClaimedRole, ...]
    person_claim: str
    role_claim: str
    scopes: str

    @property
    def redirect_uri(self) -> str:
        """Where the provider leads a browser back to; it has to know this address."""
        return self.console_url + CALLBACK_PATH

    @property
    def host(self) -> str:
        """The provider's name for people."""
        return check_http_url(self.issuer).hostname or ""


def read_issuer(text: str) -> str:
    """The issuer, exactly as it was written. Raises ValueError, which says what is wrong."""
    parts = _check_https(text, "whoever is on the way could sign in as anybody")
    if parts.query or parts.fragment:
        raise ValueError("has something after a ? or #, which no issuer has")
    require("authlib", "oidc")
    return text


def read_console_url(text: str) -> str:
    """An address without a path. Raises ValueError, which says what is wrong."""
    parts = _check_https(text, "whoever is on the way could take the session")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("has to end with the host, or its port: the console is at /console there")
    return f"{parts.scheme}://{parts.netloc}"


def read_client_id(text: str) -> str:
    """What the provider calls us. Raises ValueError, which says what is wrong."""
    if not TOKEN.match(text):
        raise ValueError("has to be of up to 255 printable ASCII characters without spaces")
    return text


def read_client_secret(text: str) -> Secret:
    """What we prove ourselves by. Raises ValueError, which says what is wrong."""
    if len(text) < MIN_SECRET or not text.isascii() or not text.isprintable():
        raise ValueError(f"has to be {MIN_SECRET} or more printable ASCII characters")
    return Secret(text)


def read_claim(text: str) -> str:
    """The name of a claim. Raises ValueError, which says what is wrong."""
    if not CLAIM.match(text):
        raise ValueError("has to be the name of one claim, without spaces")
    return text


def read_scopes(text: str) -> str:
    """Scopes, separated by spaces. Raises ValueError, which says what is wrong."""
    scopes = text.split()
    if "openid" not in scopes:
        raise ValueError("has to have openid in it")
    if not all(TOKEN.match(scope) for scope in scopes):
        raise ValueError("has to be of printable ASCII characters")
    return " ".join(scopes)


def single_sign_on_problems(issuer: str | None, needed: Sequence[tuple[str, object]]) -> list[str]:
    """What does not fit together; `needed` are variables, and what they say."""
    if issuer is not None:
        return [
            f"{name} is not set, which CONSOLE_OIDC_ISSUER needs"
            for name, said in needed
            if not said
        ]
    # The console's address means nothing by itself, and harms nothing.
    idle = [name for name, said in needed if said and name != "CONSOLE_URL"]
    return ["CONSOLE_OIDC_ISSUER is not set, and is needed for " + ", ".join(idle)] if idle else []


def _check_https(text: str, danger: str) -> SplitResult:
    parts = check_http_url(text)
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or a password in it")
    if parts.scheme == "http" and not is_this_host(parts.hostname or ""):
        raise ValueError(f"is http:// to another host: {danger}; use https://")
    return parts
