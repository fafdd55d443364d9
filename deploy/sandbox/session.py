"""The VerificationSession: what the sandbox keeps of one, and how Stripe shows it."""

from dataclasses import dataclass, field
from typing import Any

from deploy.sandbox.accounts import OWN, Scope

REQUIRES_INPUT = "requires_input"
PROCESSING = "processing"
VERIFIED = "verified"
CANCELED = "canceled"
STATUSES = (REQUIRES_INPUT, PROCESSING, VERIFIED, CANCELED)

# The codes of `last_error`, each with a reason as Stripe words it:
# https://docs.stripe.com/identity/handle-verification-outcomes.
LAST_ERRORS = {
    "abandoned": "The user left before they had submitted everything.",
    "consent_declined": "The user declined to be verified.",
    "country_not_supported": "Documents of the user's country cannot be verified.",
    "device_not_supported": "The user's device has no camera that could be used.",
    "document_expired": "The document expired on 12 March 2021.",
    "document_type_not_supported": "A library card of Jenny Rosen cannot be verified.",
    "document_type_not_allowed": "A passport is not one of the types that were allowed.",
    "document_unverified_other": "The document of Jenny Rosen could not be verified.",
    "email_unverified_other": "The address jenny.rosen@example.com could not be verified.",
    "email_verification_declined": "The user declined to verify jenny.rosen@example.com.",
    "id_number_insufficient_document_data": "The document does not show enough to check 000000000.",
    "id_number_mismatch": "The number 000000000 does not belong to Jenny Rosen.",
    "id_number_unverified_other": "The number 000000000 could not be verified.",
    "phone_unverified_other": "The number +15555550100 could not be verified.",
    "phone_verification_declined": "The user declined to verify +15555550100.",
    "selfie_document_missing_photo": "The document of Jenny Rosen has no photo.",
    "selfie_face_mismatch": "The face is not that of Jenny Rosen's document.",
    "selfie_manipulated": "The selfie of Jenny Rosen looks manipulated.",
    "selfie_unverified_other": "The selfie of Jenny Rosen could not be verified.",
    "under_supported_age": "The user is younger than 16.",
}


@dataclass
class Session:
    """One VerificationSession. Times are the sandbox clock's; those of Stripe's API are whole."""

    id: str
    livemode: bool
    created: int
    type: str
    status_since: int
    status: str = REQUIRES_INPUT
    client_reference_id: str | None = None
    client_secret: str | None = None
    link: str | None = None  # the token in `url`
    link_expires: float = 0.0
    return_url: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    provided_details: dict[str, str] | None = None
    related_customer: str | None = None
    related_customer_account: str | None = None
    related_person: dict[str, str] | None = None
    verification_flow: str | None = None
    last_error: dict[str, str] | None = None
    last_verification_report: str | None = None
    verified_outputs: dict[str, Any] | None = None
    redaction: str | None = None
    redaction_due: float | None = None
    verified_at: int | None = None
    # One for each attempt that failed: its report, or the second of an attempt without one. No
    # person gives up twice in a second, and nothing that Stripe sends could tell two such apart.
    failures: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    submission: dict[str, Any] | None = None  # what processing will end in, and when
    account: str = OWN

    @property
    def was_attempted(self) -> bool:
        """Whether anything of a person was ever submitted."""
        return bool(self.reports or self.failures)

    @property
    def scope(self) -> Scope:
        """Who sees it."""
        return Scope(self.account, self.livemode)

    def fail(self, attempt: str) -> None:
        """Count an attempt that failed, once."""
        if attempt not in self.failures:
            self.failures.append(attempt)

    def enter(self, status: str, now: float) -> None:
        """Enter a status; a session that accepts no submission has no secret and no link."""
        self.status = status
        self.status_since = int(now)
        self.verified_at = int(now) if status == VERIFIED else None
        if status != REQUIRES_INPUT:
            self.client_secret = self.link = None

    def render(self, base_url: str) -> dict[str, Any]:
        """Stripe's object, without what has to be expanded (`verified_outputs`)."""
        flow = self.verification_flow
        return {
            "id": self.id,
            "object": "identity.verification_session",
            "client_reference_id": self.client_reference_id,
            "client_secret": self.client_secret,
            "created": self.created,
            "last_error": self.last_error,
            "last_verification_report": self.last_verification_report,
            "livemode": self.livemode,
            "metadata": dict(self.metadata),
            "options": self.options,
            "provided_details": self.provided_details,
            "redaction": None if self.redaction is None else {"status": self.redaction},
            "related_customer": self.related_customer,
            "related_customer_account": self.related_customer_account,
            # The types of Stripe's Node package have these two as absent, never null.
            **({} if self.related_person is None else {"related_person": self.related_person}),
            "status": self.status,
            "type": self.type,
            "url": None if self.link is None else f"{base_url}/verify/{self.link}",
            **({} if flow is None else {"verification_flow": flow}),
        }
