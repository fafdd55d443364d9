"""What the doctor says of the provider at which the console's people sign in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.doctor.result import Finding
from tests.doctor.deployment import Deployment, assert_is
from tests.support.provider import CLIENT, SECRET, StandIn, standing_in


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with standing_in() as stand_in:
        yield stand_in


def examine(deployment: Deployment, issuer: str) -> Finding:
    found = deployment.examine(
        CONSOLE_OIDC_ISSUER=issuer,
        CONSOLE_OIDC_CLIENT_ID=CLIENT,
        CONSOLE_OIDC_CLIENT_SECRET=SECRET,
        CONSOLE_OIDC_ROLES="ops:operate",
        CONSOLE_URL="https://identity.example.com",
    )
    return found["single sign-on"]


def test_without_a_provider_nothing_is_asked(deployment: Deployment) -> None:
    assert_is(deployment.examine()["single sign-on"], "ok", "off (CONSOLE_OIDC_ISSUER)")


def test_a_provider_that_answers_has_to_know_the_redirect_uri(
    deployment: Deployment, provider: StandIn
) -> None:
    found = examine(deployment, provider.url)
    assert_is(found, "ok", "https://identity.example.com/console/sign-in/oidc/callback")


def test_a_provider_without_keys_lets_nobody_in(deployment: Deployment, provider: StandIn) -> None:
    provider.keys = []
    assert_is(examine(deployment, provider.url), "wrong", "publishes no key")


def test_a_provider_that_is_away_lets_nobody_in(deployment: Deployment) -> None:
    assert_is(examine(deployment, "http://127.0.0.1:9"), "wrong", "cannot be reached")


def test_a_wrong_setting_is_said_once(deployment: Deployment) -> None:
    found = deployment.examine(CONSOLE_OIDC_ISSUER="PLANTED")
    assert_is(found["settings"], "wrong", "CONSOLE_OIDC_ISSUER has to be")
    assert_is(found["single sign-on"], "warning", "CONSOLE_OIDC_ISSUER is wrong")
