"""The parameters of the calls about VerificationSessions.

As the stripe package of 2026-10 names them:
https://docs.stripe.com/api/identity/verification_sessions.
"""

from deploy.sandbox import params
from deploy.sandbox.session import STATUSES

_CHECKED = params.hash_of({"require_verification": params.boolean}, clearable=True)
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
            "email": _CHECKED,
            "phone": _CHECKED,
        }
    ),
    "provided_details": params.hash_of(
        {"email": params.string(clearable=True), "phone": params.string(clearable=True)}
    ),
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
    "verification_flow": params.string(),
}
# What a list may be narrowed to; each names an attribute of the session.
FILTERS: dict[str, params.Reader] = {
    "client_reference_id": params.string(5000),
    "related_customer": params.string(),
    "related_customer_account": params.string(),
    "status": params.choice(*STATUSES),
}
