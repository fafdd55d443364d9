"""Made-up people and the VerificationReports about them.

Which fields a check has, and which may be left out, is what the types of Stripe's packages say
(Node's tell `T | null` from `?: T`): https://docs.stripe.com/api/identity/verification_reports/object.
"""

import random
from dataclasses import dataclass
from typing import Any

from deploy.sandbox.accounts import Scope
from deploy.sandbox.session import Session

# "User-session failures": they end an attempt before anything is checked, so that no check of a
# report has a code for them. Our reading: no report is made.
WITHOUT_REPORT = (
    "abandoned",
    "consent_declined",
    "country_not_supported",
    "device_not_supported",
    "under_supported_age",
)
# The codes of a report's checks that differ from the session's: `document_type_not_allowed` is in
# Stripe's words about `options.document.allowed_types` only. Our reading.
_CODES = {"document_type_not_allowed": "document_type_not_supported"}
# What a report shows of a session's options.
_OPTIONS = ("document", "id_number")

_FIRST_NAMES = ("Jenny", "Amara", "Mateo", "Ingrid", "Rahul", "Noor", "Tomasz", "Keiko")
_LAST_NAMES = ("Rosen", "Okafor", "Fuentes", "Lindqvist", "Chaudhary", "Haddad", "Zielinski")
_STREETS = ("South Van Ness Avenue", "Orchard Lane", "Lakeview Drive", "Mission Street")
_PLACES = (("San Francisco", "CA", "94110"), ("Portland", "OR", "97205"), ("Austin", "TX", "73301"))


@dataclass
class Report:
    """One VerificationReport. `content` is Stripe's object with all that can be expanded."""

    id: str
    created: int
    account: str
    livemode: bool
    content: dict[str, Any]

    @property
    def scope(self) -> Scope:
        """Who sees it."""
        return Scope(self.account, self.livemode)


def person(randomness: random.Random, session: Session) -> dict[str, Any]:
    """`verified_outputs` of a made-up person, including the sensitive fields."""
    city, state, postal_code = randomness.choice(_PLACES)
    details = session.provided_details or {}
    return {
        "address": {
            "city": city,
            "country": "US",
            "line1": f"{randomness.randint(100, 9999)} {randomness.choice(_STREETS)}",
            "line2": None,
            "postal_code": postal_code,
            "state": state,
        },
        "dob": {
            "day": randomness.randint(1, 28),
            "month": randomness.randint(1, 12),
            "year": randomness.randint(1950, 2004),
        },
        "email": details.get("email"),
        "first_name": randomness.choice(_FIRST_NAMES),
        "id_number": f"{randomness.randint(0, 999_999_999):09}",
        "id_number_type": "us_ssn",
        "last_name": randomness.choice(_LAST_NAMES),
        "phone": details.get("phone"),
        "sex": randomness.choice(("female", "male")),
        "unparsed_place_of_birth": city,
        "unparsed_sex": "X",
    }


def build(
    report_id: str,
    created: int,
    session: Session,
    outputs: dict[str, Any],
    error: dict[str, str] | None,
) -> Report:
    """The report of one submission: its checks, and which of them failed."""
    flow = session.verification_flow
    content = {
        "id": report_id,
        "object": "identity.verification_report",
        "client_reference_id": session.client_reference_id,
        "created": created,
        "livemode": session.livemode,
        "options": {name: session.options[name] for name in _OPTIONS if name in session.options},
        "type": session.type,
        **({} if flow is None else {"verification_flow": flow}),
        "verification_session": session.id,
        **_checks(session, outputs, report_id, error),
    }
    return Report(report_id, created, session.account, session.livemode, content)


def _checks(
    session: Session, outputs: dict[str, Any], report_id: str, error: dict[str, str] | None
) -> dict[str, Any]:
    """The checks that were made; those that were not are left out."""
    file = report_id.replace("vr_", "file_")
    every = {
        "document": _document(outputs, file),
        "id_number": _id_number(outputs),
        "selfie": {"document": file, "selfie": file},
        "email": {"email": outputs.get("email")},
        "phone": {"phone": outputs.get("phone")},
    }
    made = set(_asked_for(session))
    about = None if error is None else _about(error["code"])
    checks: dict[str, Any] = {
        name: {**check, "error": None, "status": "verified"}
        for name, check in every.items()
        if name in made or name == about
    }
    if error is not None and about is not None:
        code = _CODES.get(error["code"], error["code"])
        checks[about] |= {"error": {**error, "code": code}, "status": "unverified"}
    return checks


def _asked_for(session: Session) -> list[str]:
    document = session.options.get("document", {})
    asked = ["id_number" if session.type == "id_number" else "document"]
    if document.get("require_id_number"):
        asked.append("id_number")
    if document.get("require_matching_selfie"):
        asked.append("selfie")
    flagged = ("email", "phone")
    asked += [f for f in flagged if session.options.get(f, {}).get("require_verification")]
    return asked


def _about(code: str) -> str:
    """The check that a code is about."""
    checks = ("document", "id_number", "selfie", "email", "phone")
    return next(check for check in checks if code.startswith(f"{check}_"))


def _document(outputs: dict[str, Any], file: str) -> dict[str, Any]:
    return {
        "address": outputs["address"],
        "dob": outputs["dob"],
        "expiration_date": {"day": 1, "month": 12, "year": 2031},
        "files": [file],
        "first_name": outputs["first_name"],
        "issued_date": {"day": 1, "month": 12, "year": 2021},
        "issuing_country": "US",
        "last_name": outputs["last_name"],
        "number": f"D{outputs['id_number']}",
        "sex": outputs["sex"],
        "type": "driving_license",
        "unparsed_place_of_birth": outputs["unparsed_place_of_birth"],
        "unparsed_sex": outputs["unparsed_sex"],
    }


def _id_number(outputs: dict[str, Any]) -> dict[str, Any]:
    taken = ("dob", "first_name", "id_number", "id_number_type", "last_name")
    return {key: outputs[key] for key in taken}
