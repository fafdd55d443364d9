"""The variables of single sign-on, good and bad, and what follows from them together."""

from __future__ import annotations

import pytest

from app.configuration.settings import Settings
from app.domain.errors import Misconfigured

SECRET = "PLANTED-secret-of-the-client"
GOOD = {
    "CONSOLE_OIDC_ISSUER": "https://login.example.com/realms/x",
    "CONSOLE_OIDC_CLIENT_ID": "console",
    "CONSOLE_OIDC_CLIENT_SECRET": SECRET,
    "CONSOLE_OIDC_ROLES": "anna@example.com:operate",
    "CONSOLE_URL": "https://identity.example.com/",
}


def problems(**changed: str) -> list[str]:
    with pytest.raises(Misconfigured) as wrong:
        Settings.from_environment(GOOD | changed)
    return wrong.value.problems


def test_it_is_off_by_default() -> None:
    assert (Settings().single_sign_on, Settings().console) == (None, False)


def test_a_provider_turns_the_console_on_and_people_are_named_by_their_address() -> None:
    settings = Settings.from_environment(GOOD)
    found = settings.single_sign_on
    assert settings.console
    assert found is not None
    assert (found.person_claim, found.role_claim) == ("email", "email")
    assert found.redirect_uri == "https://identity.example.com/console/sign-in/oidc/callback"
    assert found.host == "login.example.com"
    assert not Settings.from_environment(GOOD | {"CONSOLE": "0"}).console


def test_its_secret_is_masked() -> None:
    assert SECRET not in repr(Settings.from_environment(GOOD))
    assert SECRET not in repr(Settings.from_environment(GOOD).single_sign_on)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("CONSOLE_OIDC_ISSUER", "login.PLANTED.com", "has to be an http:// or https:// address"),
        ("CONSOLE_OIDC_ISSUER", "http://login.PLANTED.com", "is http:// to another host"),
        ("CONSOLE_OIDC_ISSUER", "https://PLANTED:x@login.x", "has a user or a password in it"),
        ("CONSOLE_OIDC_ISSUER", "https://login.x/?PLANTED", "has something after a ? or #"),
        ("CONSOLE_OIDC_CLIENT_ID", "PLANTED client", "has to be of up to 255 printable"),
        ("CONSOLE_OIDC_CLIENT_SECRET", "PLANTED", "has to be 16 or more printable ASCII"),
        ("CONSOLE_OIDC_ROLES", "PLANTED", "entry 1 is not value:role"),
        ("CONSOLE_OIDC_ROLES", "a:read PLANTED:admin", "entry 2 has a role that is not read"),
        ("CONSOLE_OIDC_ROLES", "PLANTED:read PLANTED:redact", "names a value twice"),
        ("CONSOLE_OIDC_ROLE_CLAIM", "PLANTED groups", "has to be the name of one claim"),
        ("CONSOLE_OIDC_PERSON_CLAIM", "PLANTED name", "has to be the name of one claim"),
        ("CONSOLE_OIDC_SCOPES", "email PLANTED", "has to have openid in it"),
        ("CONSOLE_URL", "http://PLANTED.example.com", "is http:// to another host"),
        ("CONSOLE_URL", "https://x.example/PLANTED", "has to end with the host"),
        ("CONSOLE_URL", "PLANTED.example.com", "has to be an http:// or https:// address"),
    ],
)
def test_a_bad_value_is_one_line_that_does_not_quote_it(
    name: str, value: str, problem: str
) -> None:
    (line,) = problems(**{name: value})
    assert line.startswith(f"{name} {problem}")
    assert "PLANTED" not in line


@pytest.mark.parametrize("name", [name for name in GOOD if name != "CONSOLE_OIDC_ISSUER"])
def test_what_a_provider_needs_is_asked_for(name: str) -> None:
    assert problems(**{name: ""}) == [f"{name} is not set, which CONSOLE_OIDC_ISSUER needs"]


def test_what_is_for_a_provider_is_not_left_without_one() -> None:
    (line,) = problems(CONSOLE_OIDC_ISSUER="", CONSOLE_OIDC_ROLES="")
    assert line == (
        "CONSOLE_OIDC_ISSUER is not set, and is needed for CONSOLE_OIDC_CLIENT_ID, "
        "CONSOLE_OIDC_CLIENT_SECRET"
    )
