"""A small OpenID Connect provider on loopback, with its own keys. A test says what it answers."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from tests.support.http_server import serving

CLIENT, SECRET = "console-at-example", "PLANTED-secret-of-the-client"
# What it says of whoever signs in.
ANNA = {"sub": "1001", "email": "anna@example.com", "email_verified": True, "groups": ["ops"]}
Answer = tuple[int, dict[str, Any]]


@cache
def rsa_key() -> RSAKey:
    """The key that it has at first. It takes a while to make."""
    return RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})


def other_key(kid: str) -> ECKey:
    """Another one."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


def signed(claims: dict[str, Any], key: RSAKey | ECKey, **header: str) -> str:
    """An ID token as a provider makes it."""
    algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
    return jwt.encode({"alg": algorithm, "kid": str(key.kid), **header}, claims, key)


@dataclass
class StandIn:
    """The provider: what it has been asked, and what it will answer."""

    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [rsa_key()])
    person: dict[str, Any] = field(default_factory=lambda: dict(ANNA))
    userinfo: dict[str, Any] | None = None  # None: what the token says as well
    published: dict[str, Any] = field(default_factory=dict)  # over what is usual
    changed: dict[str, Any] = field(
        default_factory=dict
    )  # claims of the token, over the right ones
    sign: Callable[[dict[str, Any], RSAKey | ECKey], str] = signed
    error: str | None = None  # instead of a code
    token_answer: Answer | None = None
    asked: Counter[str] = field(default_factory=Counter)  # by path
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # codes and tokens that it has given

    def discovery(self) -> dict[str, Any]:
        """What it publishes."""
        ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token"}
        ends |= {"jwks_uri": "/keys", "userinfo_endpoint": "/userinfo"}
        return {
            "issuer": self.url,
            **{name: self.url + path for name, path in ends.items()},
            **self.published,
        }

    def allow(self, authorization_url: str) -> str:
        """What the person's browser is led to, once the person has agreed."""
        url = authorization_url.replace("/authorize?", "/allow?")
        answer = requests.get(url, allow_redirects=False, timeout=5)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]

    def code_for(self, asked: dict[str, str]) -> str:
        """The address that leads back, with a code that is good once."""
        if self.error is not None:
            sent = {"error": self.error, "error_description": "PLANTED description"}
        else:
            code = "PLANTED-code-" + secrets.token_urlsafe(8)
            self.codes[code] = asked
            self.seen.append(code)
            sent = {"code": code}
        return f"{asked['redirect_uri']}?{urlencode({**sent, 'state': asked['state']})}"

    def token_for(self, form: dict[str, str], authorization: str) -> Answer:
        """Tokens for a code, if client and PKCE are right."""
        if self.token_answer is not None:
            return self.token_answer
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        posted = (form.get("client_id"), form.get("client_secret"))
        if posted != (CLIENT, SECRET) and authorization != basic:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or asked["code_challenge_method"] != "S256"
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return 400, {"error": "invalid_grant"}
        access_token = "PLANTED-access-" + secrets.token_urlsafe(8)
        id_token = self.id_token(asked["nonce"])
        self.seen += [access_token, id_token]
        return 200, {"access_token": access_token, "token_type": "Bearer", "id_token": id_token}

    def id_token(self, nonce: str) -> str:
        """A token of the person who has signed in."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "nonce": nonce,
            "iat": now,
            "exp": now + 300,
            **self.person,
            **self.changed,
        }
        said = {name: value for name, value in claims.items() if value is not None}
        return self.sign(said, self.keys[-1])


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A provider that runs."""
    provider = StandIn()
    with serving(_handler(provider)) as url:
        provider.url = url
        yield provider


def _handler(provider: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, urlsplit(self.path).query
            provider.asked[path] += 1
            if path == "/.well-known/openid-configuration":
                self.answer(200, provider.discovery())
            elif path == "/keys":
                self.answer(200, {"keys": [key.as_dict(private=False) for key in provider.keys]})
            elif path == "/userinfo":
                bearer = self.headers["Authorization"].removeprefix("Bearer ")
                said = provider.person if provider.userinfo is None else provider.userinfo
                self.answer(200 if bearer in provider.seen else 401, said)
            elif path == "/authorize":
                self.send(200, f'<a href="/allow?{query}">Go on as Anna</a>'.encode(), "text/html")
            elif path == "/allow":
                self.send_response(302)
                back = provider.code_for({key: one[0] for key, one in parse_qs(query).items()})
                self.send_header("Location", back)
                self.end_headers()
            else:
                self.answer(404, {})

        def do_POST(self) -> None:
            provider.asked[self.path] += 1
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            authorization = self.headers.get("Authorization", "")
            self.answer(*provider.token_for(dict(parse_qsl(body)), authorization))

        def answer(self, status: int, found: dict[str, Any]) -> None:
            self.send(status, json.dumps(found).encode(), "application/json")

        def send(self, status: int, body: bytes, type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
