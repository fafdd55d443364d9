"""Whether the settings can be read, and which features they leave off."""

from __future__ import annotations

from app.doctor.deployment import Deployment
from app.doctor.result import Finding


def check_settings(deployment: Deployment) -> Finding:
    """Every problem of the environment; if there is none, the features that are off."""
    if deployment.problems:
        return Finding(
            "settings",
            "wrong",
            "; ".join(deployment.problems),
            "Correct the environment and restart every process.",
        )
    off = switched_off(deployment)
    return Finding("settings", "ok", f"all can be read; off: {', '.join(off)}" if off else "all on")


def switched_off(deployment: Deployment) -> list[str]:
    """The features that are off, each with the variable that switches it on."""
    settings = deployment.settings
    switches: list[tuple[object, str]] = [
        (settings.stripe_api_key, "calls to Stripe (STRIPE_API_KEY)"),
        (
            settings.stripe_restricted_key,
            "a separate key for verified data (STRIPE_RESTRICTED_KEY)",
        ),
        (settings.api_tokens, "/v1 and /metrics (API_TOKENS)"),
        (settings.policy.notify, "notifying your system (NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM)"),
        (settings.reference_metadata_keys, "references in metadata (REFERENCE_METADATA_KEYS)"),
        (settings.max_attempts, "a limit on attempts (MAX_ATTEMPTS)"),
        (settings.redact_after_days, "automatic redaction (REDACT_AFTER_DAYS)"),
        (settings.redis_verify, "the check of Redis' certificate (REDIS_TLS_VERIFY)"),
    ]
    return [feature for switch, feature in switches if not switch]
