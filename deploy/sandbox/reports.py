"""Made-up people and the VerificationReports about them."""

import random
from typing import Any

from deploy.sandbox.session import Session

_FIRST_NAMES = ("Jenny", "Amara", "Mateo", "Ingrid", "Rahul", "Noor", "Tomasz", "Keiko")
_LAST_NAMES = ("Rosen", "Okafor", "Fuentes", "Lindqvist", "Chaudhary", "Haddad", "Zielinski")
_STREETS = ("South Van Ness Avenue", "Orchard Lane", "Lakeview Drive", "Mission Street")
_PLACES = (("San Francisco", "CA", "94110"), ("Portland", "OR", "97205"), ("Austin", "TX", "73301"))


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
) -> dict[str, Any]:
    """Stripe's VerificationReport of one submission: the checks, and which of them failed."""
    checks: dict[str, Any] = {"document": None, "id_number": None, "selfie": None}
    checks |= {"email": None, "phone": None}
    if session.type == "id_number":
        checks["id_number"] = _id_number(outputs)
    else:
        checks["document"] = _document(outputs, report_id)
    if session.options.get("document", {}).get("require_matching_selfie"):
        file = report_id.replace("vr_", "file_")
        checks["selfie"] = {"document": file, "error": None, "selfie": file, "status": "verified"}
    for detail in ("email", "phone"):
        if session.options.get(detail, {}).get("require_verification"):
            checks[detail] = {detail: outputs[detail], "error": None, "status": "verified"}
    if error is not None:
        _fail(checks, error)
    return {
        "id": report_id,
        "object": "identity.verification_report",
        "client_reference_id": session.client_reference_id,
        "created": created,
        "livemode": session.livemode,
        "options": session.options,
        "type": session.type,
        "verification_flow": session.verification_flow,
        "verification_session": session.id,
        **checks,
    }


def _document(outputs: dict[str, Any], report_id: str) -> dict[str, Any]:
    return {
        "address": outputs["address"],
        "dob": outputs["dob"],
        "error": None,
        "expiration_date": {"day": 1, "month": 12, "year": 2031},
        "files": [report_id.replace("vr_", "file_")],
        "first_name": outputs["first_name"],
        "issued_date": {"day": 1, "month": 12, "year": 2021},
        "issuing_country": "US",
        "last_name": outputs["last_name"],
        "number": f"D{outputs['id_number']}",
        "sex": outputs["sex"],
        "status": "verified",
        "type": "driving_license",
        "unparsed_place_of_birth": outputs["unparsed_place_of_birth"],
        "unparsed_sex": outputs["unparsed_sex"],
    }


def _id_number(outputs: dict[str, Any]) -> dict[str, Any]:
    taken = ("dob", "first_name", "id_number", "id_number_type", "last_name")
    return {**{key: outputs[key] for key in taken}, "error": None, "status": "verified"}


def _fail(checks: dict[str, Any], error: dict[str, str]) -> None:
    """Mark the check that the code is about; a code about none of them fails the main one."""
    about = next((check for check in checks if error["code"].startswith(f"{check}_")), "document")
    if checks[about] is None:
        checks[about] = {}
    checks[about] |= {"error": dict(error), "status": "unverified"}
