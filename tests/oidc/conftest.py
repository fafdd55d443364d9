"""A provider on loopback, and this product as its client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.configuration.settings import Settings
from app.configuration.single_sign_on import SingleSignOn
from tests.support.provider import CLIENT, SECRET, StandIn, standing_in


def settings_for(provider: StandIn, **other: str) -> SingleSignOn:
    """The settings of a console whose people sign in at this provider."""
    settings = {
        "CONSOLE_OIDC_ISSUER": provider.url,
        "CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "CONSOLE_OIDC_CLIENT_SECRET": SECRET,
        "CONSOLE_OIDC_ROLES": "ops:operate leads:redact",
        "CONSOLE_OIDC_ROLE_CLAIM": "groups",
        "CONSOLE_URL": "https://console.test",
    }
    found = Settings.from_environment(settings | other).single_sign_on
    assert found is not None
    return found


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """A provider of the test's own."""
    with standing_in() as provider:
        yield provider
