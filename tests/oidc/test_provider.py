"""The calls to a provider, from its first page to who has signed in."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.errors import IdentityError
from app.oidc.errors import (
    NobodyHere,
    ProviderAway,
    ProviderUnusable,
    SignInRefused,
    TokenRefused,
    UnknownKey,
)
from app.oidc.identity import Identity
from app.oidc.kept import AT_MOST_EVERY
from app.oidc.provider import Provider
from tests.oidc.conftest import settings_for
from tests.support.provider import CLIENT, SECRET, StandIn, other_key

STATE, NONCE, VERIFIER = "state", "nonce", "verifier-of-forty-three-characters-or-more-----"
ANNA = Identity("1001", "anna@example.com", "operate")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(stand_in: StandIn, clock: Clock) -> Provider:
    return Provider(settings_for(stand_in), time.time, clock)


def asked_for(provider: Provider) -> dict[str, str]:
    query = urlsplit(provider.authorization_url(STATE, NONCE, VERIFIER)).query
    return {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}


def code_of(provider: Provider, stand_in: StandIn) -> str:
    back = stand_in.allow(provider.authorization_url(STATE, NONCE, VERIFIER))
    return parse_qs(urlsplit(back).query)["code"][0]


def signed_in(provider: Provider, stand_in: StandIn, **other: str) -> Identity:
    given = {"nonce": NONCE, "verifier": VERIFIER, **other}
    return provider.identify(code_of(provider, stand_in), **given)


def test_a_person_is_identified_by_their_code(provider: Provider, stand_in: StandIn) -> None:
    assert signed_in(provider, stand_in) == ANNA
    assert stand_in.asked["/userinfo"] == 0


def test_the_provider_is_asked_for_a_code_by_pkce_and_told_the_fixed_address(
    provider: Provider,
) -> None:
    asked = asked_for(provider)
    assert asked.pop("code_challenge") not in ("", VERIFIER)
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": "https://console.test/console/sign-in/oidc/callback",
        "scope": "openid email profile",
        "state": STATE,
        "nonce": NONCE,
        "code_challenge_method": "S256",
    }


def test_what_it_publishes_is_read_once_for_all(provider: Provider, stand_in: StandIn) -> None:
    for _ in range(3):
        signed_in(provider, stand_in)
    assert stand_in.asked["/.well-known/openid-configuration"] == 1
    assert stand_in.asked["/keys"] == 1


def test_a_code_is_good_once(provider: Provider, stand_in: StandIn) -> None:
    code = code_of(provider, stand_in)
    provider.identify(code, NONCE, VERIFIER)
    with pytest.raises(SignInRefused) as refused:
        provider.identify(code, NONCE, VERIFIER)
    assert refused.value.reason == "code_refused"


def test_a_stolen_code_is_worth_nothing_without_its_browser(
    provider: Provider, stand_in: StandIn
) -> None:
    """Its thief has neither the verifier nor the nonce of the browser that it was for."""
    with pytest.raises(SignInRefused) as refused:
        signed_in(provider, stand_in, verifier="another-" + VERIFIER)
    assert refused.value.reason == "code_refused"
    with pytest.raises(TokenRefused) as token:
        signed_in(provider, stand_in, nonce="another")
    assert token.value.reason == "token_nonce"


def test_a_new_key_is_looked_for_at_most_once_a_minute(
    provider: Provider, stand_in: StandIn, clock: Clock
) -> None:
    signed_in(provider, stand_in)
    stand_in.keys.append(other_key("second"))
    with pytest.raises(UnknownKey):
        signed_in(provider, stand_in)
    clock.now += AT_MOST_EVERY
    assert signed_in(provider, stand_in) == ANNA
    unknown, stand_in.keys = other_key("third"), stand_in.keys[:1]
    stand_in.sign = lambda claims, key, sign=stand_in.sign: sign(claims, unknown)  # type: ignore[misc]
    for _ in range(3):
        with pytest.raises(UnknownKey):
            signed_in(provider, stand_in)
    assert stand_in.asked["/keys"] == 2


def test_what_the_token_does_not_say_is_asked_for(provider: Provider, stand_in: StandIn) -> None:
    stand_in.changed = {"email": None, "email_verified": None, "groups": None}
    assert signed_in(provider, stand_in) == ANNA
    assert stand_in.asked["/userinfo"] == 1


def test_what_is_said_of_another_person_is_not_taken(provider: Provider, stand_in: StandIn) -> None:
    stand_in.changed = {"groups": None}
    stand_in.userinfo = {"sub": "2002", "groups": ["leads"]}
    with pytest.raises(TokenRefused) as refused:
        signed_in(provider, stand_in)
    assert refused.value.reason == "userinfo_sub"


def test_whoever_has_no_role_is_refused(provider: Provider, stand_in: StandIn) -> None:
    stand_in.person["groups"] = ["others"]
    with pytest.raises(NobodyHere):
        signed_in(provider, stand_in)


@pytest.mark.parametrize("published", [["client_secret_post"], ["client_secret_basic"]])
def test_the_client_proves_itself_by_either_way(
    provider: Provider, stand_in: StandIn, published: list[str]
) -> None:
    stand_in.published["token_endpoint_auth_methods_supported"] = published
    assert signed_in(provider, stand_in) == ANNA


def test_a_wrong_client_secret_is_told_by_its_setting(stand_in: StandIn) -> None:
    settings = settings_for(stand_in, CONSOLE_OIDC_CLIENT_SECRET="another-secret-of-ours")
    with pytest.raises(ProviderUnusable, match="CONSOLE_OIDC_CLIENT_SECRET"):
        signed_in(Provider(settings, time.time, Clock()), stand_in)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            (400, {"error": "invalid_request", "error_description": "PLANTED"}),
            ProviderUnusable,
            "refuses",
        ),
        ((500, {"error": "PLANTED"}), ProviderAway, "500"),
        ((429, {}), ProviderAway, "429"),
        ((302, {}), ProviderUnusable, "302"),
        ((200, {}), TokenRefused, "token"),
        ((200, {"id_token": 5}), TokenRefused, "token"),
        ((200, {"expires_in": "PLANTED"}), ProviderUnusable, "form of a token"),
        ((200, {"expires_at": [1]}), ProviderUnusable, "form of a token"),
    ],
)
def test_an_answer_that_is_no_token_is_one_plain_line(
    provider: Provider, stand_in: StandIn, answer: Any, kind: type[IdentityError], said: str
) -> None:
    stand_in.token_answer = answer
    with pytest.raises(kind, match=said) as failed:
        signed_in(provider, stand_in)
    assert "PLANTED" not in str(failed.value)
    assert SECRET not in str(failed.value)


def test_a_provider_that_is_gone_is_said_to_be_away(stand_in: StandIn) -> None:
    settings = settings_for(stand_in, CONSOLE_OIDC_ISSUER="http://127.0.0.1:9")
    with pytest.raises(ProviderAway, match=r"127\.0\.0\.1 cannot be reached"):
        Provider(settings, time.time, Clock()).check()


def test_a_provider_of_another_name_is_not_used(stand_in: StandIn) -> None:
    settings = settings_for(stand_in, CONSOLE_OIDC_ISSUER=stand_in.url + "/other")
    with pytest.raises(ProviderUnusable, match="404"):
        Provider(settings, time.time, Clock()).check()
    stand_in.published["issuer"] = "https://evil.example"
    with pytest.raises(ProviderUnusable, match="CONSOLE_OIDC_ISSUER"):
        Provider(settings_for(stand_in), time.time, Clock()).check()
