"""Who somebody is, and which role they have, by what the provider says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.configuration.console_people import PERSON, PERSON_FORM, ROLES
from app.configuration.single_sign_on import SingleSignOn
from app.oidc.errors import NobodyHere

EMAIL, EMAIL_VERIFIED = "email", "email_verified"


class Identity(NamedTuple):
    """Somebody whom the provider has signed in, and who has a role here."""

    subject: str  # the provider's own id of them
    name: str
    role: str


def is_complete(claims: Mapping[str, Any], settings: SingleSignOn) -> bool:
    """Whether the claims have all that is looked at."""
    return all(name in claims for name in _looked_at(settings))


def joined(token: Mapping[str, Any], userinfo: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of both; whether an address was verified comes with the address."""
    verified = userinfo if EMAIL in userinfo else token
    return {**token, **userinfo, EMAIL_VERIFIED: verified.get(EMAIL_VERIFIED)}


def identity_of(claims: Mapping[str, Any], settings: SingleSignOn) -> Identity:
    """Who it is. Raises NobodyHere if they have no role here, or no name."""
    if EMAIL in (settings.person_claim, settings.role_claim) and not _email_is_verified(claims):
        raise NobodyHere(
            "email_not_verified",
            "your provider does not say that your email address is verified: have it verified "
            "there, or name another claim in CONSOLE_OIDC_PERSON_CLAIM",
        )
    name = claims.get(settings.person_claim)
    if not isinstance(name, str) or not PERSON.match(name):
        raise NobodyHere(
            "no_name",
            f"your provider says nothing in `{settings.person_claim}` that can be a name here "
            f"({PERSON_FORM}): see CONSOLE_OIDC_PERSON_CLAIM and CONSOLE_OIDC_SCOPES",
        )
    role = _role(claims.get(settings.role_claim), settings)
    if role is None:
        raise NobodyHere(
            "no_role",
            f"your provider has signed you in, and nothing that it says in `{settings.role_claim}` "
            "gives a role here: see CONSOLE_OIDC_ROLES",
            name,
        )
    return Identity(str(claims["sub"]), name, role)


def _looked_at(settings: SingleSignOn) -> set[str]:
    names = {settings.person_claim, settings.role_claim}
    return names | {EMAIL_VERIFIED} if EMAIL in names else names


def _email_is_verified(claims: Mapping[str, Any]) -> bool:
    """Some providers write it as a text."""
    said = claims.get(EMAIL_VERIFIED)
    return said is True or said == "true"


def _role(said: object, settings: SingleSignOn) -> str | None:
    """The highest role that what is said gives."""
    values = {
        each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str)
    }
    given = [one.role for one in settings.roles if one.name in values]
    return max(given, key=ROLES.index, default=None)
