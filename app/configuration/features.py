"""Which features the settings leave off."""

from __future__ import annotations

from app.configuration.settings import Settings


def switched_off(settings: Settings) -> list[str]:
    """The features that are off, each with the variable that switches it on."""
    switches: list[tuple[object, str]] = [
        (settings.stripe_api_key, "calls to Stripe (STRIPE_API_KEY)"),
        (
            settings.stripe_restricted_key,
            "a separate key for verified data (STRIPE_RESTRICTED_KEY)",
        ),
        (settings.api_tokens, "/v1 and /metrics (API_TOKENS)"),
        (settings.policy.notify, "notifying your system (NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM)"),
        (settings.reference_metadata_keys, "references in metadata (REFERENCE_METADATA_KEYS)"),
        (settings.purpose_metadata_key, "several purposes for one user (PURPOSE_METADATA_KEY)"),
        (settings.max_attempts, "a limit on attempts (MAX_ATTEMPTS)"),
        (settings.reverify_after_days, "verifications that expire (REVERIFY_AFTER_DAYS)"),
        (settings.redact_after_days, "automatic redaction (REDACT_AFTER_DAYS)"),
        (settings.console, "the console (CONSOLE_USERS)"),
        (settings.redis_verify, "the check of Redis' certificate (REDIS_TLS_VERIFY)"),
    ]
    return [feature for switch, feature in switches if not switch]
