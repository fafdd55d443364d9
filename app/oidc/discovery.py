"""What a provider publishes of itself.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.configuration.addresses import check_http_url, is_this_host
from app.oidc.errors import ProviderUnusable

BASIC, POST = "client_secret_basic", "client_secret_post"


@dataclass(frozen=True, slots=True)
class Discovery:
    """The addresses of a provider, and how it wants to be spoken to."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    auth_method: str  # how we prove who we are
    names_itself: bool  # in every answer that a browser brings (RFC 9207)


def discovery_url(issuer: str) -> str:
    """Where an issuer publishes it."""
    return issuer.rstrip("/") + "/.well-known/openid-configuration"


def parse_discovery(document: Mapping[str, Any], issuer: str) -> Discovery:
    """The document of this issuer. Raises ProviderUnusable."""
    if document.get("issuer") != issuer:
        raise ProviderUnusable(
            "the provider calls itself otherwise than CONSOLE_OIDC_ISSUER does: write it exactly "
            "as `issuer` in its .well-known/openid-configuration"
        )
    methods = document.get("token_endpoint_auth_methods_supported")
    return Discovery(
        authorization_endpoint=_address(document, "authorization_endpoint", issuer),
        token_endpoint=_address(document, "token_endpoint", issuer),
        jwks_uri=_address(document, "jwks_uri", issuer),
        userinfo_endpoint=_address(document, "userinfo_endpoint", issuer)
        if "userinfo_endpoint" in document
        else None,
        auth_method=_auth_method(methods) if isinstance(methods, list) else BASIC,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _auth_method(supported: list[Any]) -> str:
    return POST if BASIC not in supported and POST in supported else BASIC


def _address(document: Mapping[str, Any], name: str, issuer: str) -> str:
    """An address that may be used: https, but where the issuer itself is on this host."""
    try:
        parts = check_http_url(str(document.get(name, "")))
    except ValueError:
        raise ProviderUnusable(f"the provider publishes no address as its {name}") from None
    local = is_this_host(parts.hostname or "") and issuer.startswith("http://")
    if parts.scheme != "https" and not local:
        raise ProviderUnusable(f"the provider publishes a {name} without https://")
    return parts.geturl()
