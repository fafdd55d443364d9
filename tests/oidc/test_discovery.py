"""What a provider publishes of itself, and what of it is not taken."""

from __future__ import annotations

from typing import Any

import pytest

from app.oidc.discovery import BASIC, POST, discovery_url, parse_discovery
from app.oidc.errors import ProviderUnusable

ISSUER = "https://login.example.com/realms/x"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/keys",
}


def test_it_is_published_below_the_issuer() -> None:
    expected = "https://x.example/a/.well-known/openid-configuration"
    assert discovery_url("https://x.example/a") == expected
    assert discovery_url("https://x.example/a/") == expected


@pytest.mark.parametrize("issuer", [ISSUER + "/", "https://evil.example", None, [ISSUER]])
def test_another_issuer_is_not_taken(issuer: Any) -> None:
    with pytest.raises(ProviderUnusable, match="CONSOLE_OIDC_ISSUER"):
        parse_discovery({**DOCUMENT, "issuer": issuer}, ISSUER)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "address", ["http://login.example.com/x", "http://127.0.0.1/x", "javascript:1", "", None, 5]
)
def test_what_is_not_https_is_not_taken(name: str, address: Any) -> None:
    with pytest.raises(ProviderUnusable, match=name):
        parse_discovery({**DOCUMENT, name: address}, ISSUER)


@pytest.mark.parametrize(
    ("methods", "method"),
    [
        ({}, BASIC),
        ({"token_endpoint_auth_methods_supported": [POST, BASIC]}, BASIC),
        ({"token_endpoint_auth_methods_supported": [POST]}, POST),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, BASIC),
        ({"token_endpoint_auth_methods_supported": None}, BASIC),
    ],
)
def test_the_client_proves_itself_as_the_provider_wants_it(
    methods: dict[str, Any], method: str
) -> None:
    assert parse_discovery(DOCUMENT | methods, ISSUER).auth_method == method
