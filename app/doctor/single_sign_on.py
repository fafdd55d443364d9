"""Whether the provider at which the console's people sign in can be used."""

from __future__ import annotations

import time

from app.doctor.deployment import Deployment
from app.doctor.result import Finding
from app.oidc.errors import ProviderAway, ProviderUnusable

NEEDS = (
    "CONSOLE_OIDC_ISSUER",
    "CONSOLE_OIDC_CLIENT_ID",
    "CONSOLE_OIDC_CLIENT_SECRET",
    "CONSOLE_OIDC_ROLES",
    "CONSOLE_URL",
)


def check_provider(deployment: Deployment) -> Finding:
    """What it publishes and its keys are read. Whether it takes the client, a sign-in shows."""
    name = "single sign-on"
    deployment.require(*NEEDS)
    settings = deployment.settings.single_sign_on
    if settings is None:
        return Finding(name, "ok", "off (CONSOLE_OIDC_ISSUER)")
    from app.oidc.provider import Provider

    try:
        Provider(settings, deployment.now, time.monotonic).check()
    except ProviderAway as away:
        hint = "Until it answers nobody can sign in by it: check its address, and for a firewall."
        return Finding(name, "wrong", str(away), hint)
    except ProviderUnusable as unusable:
        hint = "Until that is mended nobody can sign in by it."
        return Finding(name, "wrong", str(unusable), hint)
    return Finding(
        name,
        "ok",
        f"{settings.host} answers; it has to know the redirect URI {settings.redirect_uri}",
    )
