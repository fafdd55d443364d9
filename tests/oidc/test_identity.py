"""Who somebody is, and what they may do, by what a provider says of them."""

from __future__ import annotations

from typing import Any

import pytest

from app.configuration.settings import Settings
from app.configuration.single_sign_on import SingleSignOn
from app.oidc.errors import NobodyHere
from app.oidc.identity import Identity, identity_of, is_complete, joined
from tests.support.provider import CLIENT, SECRET


def settings(**other: str) -> SingleSignOn:
    named = {
        "CONSOLE_OIDC_ISSUER": "https://login.example.com",
        "CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "CONSOLE_OIDC_CLIENT_SECRET": SECRET,
        "CONSOLE_OIDC_ROLES": "anna@example.com:operate ben@example.com:read",
        "CONSOLE_URL": "https://console.test",
    }
    found = Settings.from_environment(named | other).single_sign_on
    assert found is not None
    return found


BY_GROUPS = {
    "CONSOLE_OIDC_ROLE_CLAIM": "groups",
    "CONSOLE_OIDC_ROLES": "/ops:operate all%20staff:read https://x/leads:redact",
}
ANNA = {"sub": "1", "email": "anna@example.com", "email_verified": True}


def reason_of(claims: dict[str, Any], of: SingleSignOn) -> str:
    with pytest.raises(NobodyHere) as refused:
        identity_of(claims, of)
    return refused.value.reason


def test_people_are_named_one_by_one_by_default() -> None:
    assert identity_of(ANNA, settings()) == Identity("1", "anna@example.com", "operate")


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["/ops"], "operate"),
        ("all staff", "read"),
        (["all staff", "https://x/leads", "/ops", 5, None], "redact"),
    ],
)
def test_groups_give_the_highest_of_their_roles(groups: Any, role: str) -> None:
    found = identity_of({**ANNA, "groups": groups}, settings(**BY_GROUPS))
    assert (found.name, found.role) == ("anna@example.com", role)


@pytest.mark.parametrize("groups", [None, [], "", ["OPS", "ops"], "/ops,all staff", {"/ops": 1}, 1])
def test_whoever_has_no_role_is_refused_by_name(groups: Any) -> None:
    with pytest.raises(NobodyHere) as refused:
        identity_of({**ANNA, "groups": groups}, settings(**BY_GROUPS))
    assert (refused.value.reason, refused.value.person) == ("no_role", "anna@example.com")


@pytest.mark.parametrize("verified", [None, False, "false", 1, "yes", [True]])
def test_an_email_address_that_is_not_verified_is_nobodys(verified: Any) -> None:
    claims = {**ANNA, "email_verified": verified}
    assert reason_of(claims, settings()) == "email_not_verified"
    by_role = settings(CONSOLE_OIDC_PERSON_CLAIM="sub", CONSOLE_OIDC_ROLE_CLAIM="email")
    assert reason_of(claims, by_role) == "email_not_verified"


def test_an_email_address_does_not_matter_where_another_claim_decides() -> None:
    by_name = settings(
        CONSOLE_OIDC_PERSON_CLAIM="preferred_username", CONSOLE_OIDC_ROLES="anna:read"
    )
    claims = {"sub": "1", "preferred_username": "anna", "email": "x"}
    assert identity_of(claims, by_name).name == "anna"


@pytest.mark.parametrize("name", [None, "", 5, ["anna"], "anna and ben", "x" * 65, "a\nb"])
def test_what_cannot_be_a_name_is_none(name: Any) -> None:
    by_name = settings(CONSOLE_OIDC_PERSON_CLAIM="name")
    assert reason_of({"sub": "1", "name": name}, by_name) == "no_name"


def test_whether_an_address_was_verified_comes_with_the_address() -> None:
    token = {"sub": "1", "email": "anna@example.com"}
    said_elsewhere = {"sub": "1", "email": "eve@example.com", "email_verified": True}
    assert joined(token, said_elsewhere)["email"] == "eve@example.com"
    unverified = {"sub": "1", "email": "eve@example.com"}
    assert joined({**token, "email_verified": True}, unverified)["email_verified"] is None
    assert joined({**token, "email_verified": True}, {"groups": []})["email_verified"] is True


def test_a_token_that_says_all_needs_no_second_question() -> None:
    assert is_complete(ANNA, settings())
    assert not is_complete({"sub": "1", "email": "anna@example.com"}, settings())
    assert not is_complete(ANNA, settings(**BY_GROUPS))
