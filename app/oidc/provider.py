"""A provider as this product comes to it: by an authorization code, with PKCE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError

from app.configuration.single_sign_on import SingleSignOn
from app.oidc.discovery import Discovery, discovery_url, parse_discovery
from app.oidc.errors import ProviderUnusable, SignInRefused, TokenRefused, UnknownKey
from app.oidc.fetching import OPTIONS, TIMEOUT, away, get_json, read_json
from app.oidc.id_token import Expected, claims_of, keys_of
from app.oidc.identity import Identity, identity_of, is_complete, joined
from app.oidc.kept import Kept

# What a token endpoint says of a code that is used, expired or another client's.
# https://www.rfc-editor.org/rfc/rfc6749#section-5.2
BAD_CODE, BAD_CLIENT = "invalid_grant", ("invalid_client", "unauthorized_client")


class Provider:
    """For all threads: what it publishes is kept, and nothing of who signs in."""

    def __init__(
        self,
        settings: SingleSignOn,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """Nothing is asked yet. `now` gives Unix seconds, `monotonic` seconds."""
        self.settings = settings
        self._now = now
        self._discovery = Kept(self._fetch_discovery, monotonic)
        self._keys = Kept(self._fetch_keys, monotonic)

    def check(self) -> None:
        """Raises ProviderAway and ProviderUnusable if nobody could sign in."""
        self._discovery.get()
        self._keys.get()

    def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where a browser goes to sign in. Raises ProviderAway and ProviderUnusable."""
        discovery = self._discovery.get()
        with self._client(discovery) as client:
            url, _ = client.create_authorization_url(
                discovery.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    def names_itself(self) -> bool:
        """Whether every answer that a browser brings says that it is this provider's."""
        return self._discovery.get().names_itself

    def identify(self, code: str, nonce: str, verifier: str) -> Identity:
        """Who has signed in, by the code that their browser brings.

        Raises SignInRefused, ProviderAway and ProviderUnusable.
        """
        discovery = self._discovery.get()
        token = self._token(discovery, code, verifier)
        access_token = token.get("access_token")
        settings = self.settings
        expected = Expected(settings.issuer, settings.client_id, nonce, access_token)
        claims = self._claims(token.get("id_token"), expected)
        if not is_complete(claims, settings) and discovery.userinfo_endpoint and access_token:
            claims = joined(claims, _userinfo(discovery.userinfo_endpoint, access_token, claims))
        return identity_of(claims, settings)

    def _token(self, discovery: Discovery, code: str, verifier: str) -> dict[str, Any]:
        """The provider's answer to a code, which is good once."""
        url = discovery.token_endpoint
        with self._client(discovery) as client:
            client.register_compliance_hook("access_token_response", _TokenAnswer)
            try:
                found = client.fetch_token(
                    url,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    timeout=TIMEOUT,
                    **OPTIONS,
                )
            except OAuthError as error:
                raise _told_by_token_endpoint(error.error) from None
            except requests.RequestException as error:
                raise away(url, error) from None
            except (ValueError, TypeError):  # as an `expires_in` that is no number
                raise ProviderUnusable(
                    "the provider's answer has not the form of a token"
                ) from None
        return dict(found)

    def _claims(self, id_token: object, expected: Expected) -> dict[str, Any]:
        now = int(self._now())
        try:
            return claims_of(id_token, self._keys.get(), expected, now)
        except UnknownKey:  # the provider may have new ones
            return claims_of(id_token, self._keys.get_newer(), expected, now)

    def _client(self, discovery: Discovery) -> Any:
        settings = self.settings
        return OAuth2Session(
            settings.client_id,
            str(settings.client_secret),
            token_endpoint_auth_method=discovery.auth_method,
            scope=settings.scopes,
            redirect_uri=settings.redirect_uri,
            code_challenge_method="S256",
        )

    def _fetch_discovery(self) -> Discovery:
        issuer = self.settings.issuer
        return parse_discovery(get_json(discovery_url(issuer), "what it publishes"), issuer)

    def _fetch_keys(self) -> Any:
        return keys_of(get_json(self._discovery.get().jwks_uri, "its keys"))


class _TokenAnswer:
    """An answer of the token endpoint, read within limits, as the client looks at it."""

    def __init__(self, answer: requests.Response) -> None:
        self.status_code = answer.status_code
        self._found = read_json(answer, "a token")

    def json(self) -> dict[str, Any]:
        return self._found


def _told_by_token_endpoint(code: object) -> Exception:
    if code == BAD_CODE:
        return SignInRefused(
            "code_refused", "the provider does not take its own code any more: begin once more"
        )
    if code in BAD_CLIENT:
        return ProviderUnusable(
            "the provider does not know this client: check CONSOLE_OIDC_CLIENT_ID and "
            "CONSOLE_OIDC_CLIENT_SECRET"
        )
    return ProviderUnusable(
        "the provider refuses to give a token: check what it knows of the client, and whether "
        "CONSOLE_URL leads to the redirect URI that it knows"
    )


def _userinfo(url: str, access_token: str, claims: dict[str, Any]) -> dict[str, Any]:
    """What else the provider says of the person whom the token is of."""
    found = get_json(url, "the person", bearer=access_token)
    if found.get("sub") != claims["sub"]:
        raise TokenRefused("userinfo_sub", "the provider speaks of two people in one sign-in")
    return found
