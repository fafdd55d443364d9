"""The parameters of the calls about VerificationSessions.

As the stripe package of 2026-10 names them:
https://docs.stripe.com/api/identity/verification_sessions.
"""

from typing import Any

from deploy.sandbox import params
from deploy.sandbox.errors import no_such
from deploy.sandbox.session import STATUSES


def _flow(value: Any, name: str) -> str:
    """The id of a verification flow. The sandbox has every one that is of the form."""
    flow = str(params.string()(value, name))
    if not flow.startswith("vf_"):
        raise no_such("verification flow", flow, name, status=400)
    return flow


EXPAND: dict[str, params.Reader] = {"expand": params.array(params.string(), max_items=20)}
# What an update may change.
CHANGEABLE: dict[str, params.Reader] = {
    **EXPAND,
    "metadata": params.metadata,
    "options": params.hash_of(
        {
            "document": params.hash_of(
                {
                    "allowed_types": params.array(
                        params.choice("driving_license", "id_card", "passport")
                    ),
                    "require_id_number": params.boolean,
                    "require_live_capture": params.boolean,
                    "require_matching_selfie": params.boolean,
                },
                clearable=True,
            ),
        }
    ),
    "provided_details": params.hash_of({"email": params.string(), "phone": params.string()}),
    "type": params.choice("document", "id_number"),
}
# What a creation may set.
CREATE: dict[str, params.Reader] = {
    **CHANGEABLE,
    "client_reference_id": params.string(5000),
    "related_customer": params.string(),
    "related_customer_account": params.string(),
    "related_person": params.hash_of(
        {"account": params.string(), "person": params.string()}, required=("account", "person")
    ),
    "return_url": params.url,
    "verification_flow": _flow,
}
# What a list may be narrowed to; each names an attribute of the session.
FILTERS: dict[str, params.Reader] = {
    "client_reference_id": params.string(5000),
    "related_customer": params.string(),
    "related_customer_account": params.string(),
    "status": params.choice(*STATUSES),
}
REPORT_FILTERS: dict[str, params.Reader] = {
    "client_reference_id": params.string(5000),
    "type": params.choice("document", "id_number"),
    "verification_session": params.string(),
}
