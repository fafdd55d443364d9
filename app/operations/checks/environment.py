"""Whether the settings can be read, and what they leave switched off."""

from __future__ import annotations

from app.operations.checks.finding import Finding
from app.operations.checks.patient import Patient


def check_settings(patient: Patient) -> Finding:
    """Every problem of the environment, and what is off."""
    if patient.problems:
        return Finding(
            "settings",
            "wrong",
            "; ".join(patient.problems),
            "Mend the environment and start every process again.",
        )
    off = switched_off(patient)
    return Finding("settings", "ok", f"all can be read; off: {', '.join(off)}" if off else "all on")


def switched_off(patient: Patient) -> list[str]:
    """What the team has not asked for, with the variable that would switch it on."""
    settings = patient.settings
    switches: list[tuple[object, str]] = [
        (settings.stripe_api_key, "calls to Stripe (STRIPE_API_KEY)"),
        (settings.stripe_restricted_key, "a key apart for verified data (STRIPE_RESTRICTED_KEY)"),
        (settings.api_tokens, "/v1 and /metrics (API_TOKENS)"),
        (settings.policy.notify, "telling your system (NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM)"),
        (settings.reference_metadata_keys, "references in metadata (REFERENCE_METADATA_KEYS)"),
        (settings.max_attempts, "a limit of attempts (MAX_ATTEMPTS)"),
        (settings.redact_after_days, "redaction by itself (REDACT_AFTER_DAYS)"),
        (settings.redis_verify, "the check of Redis' certificate (REDIS_TLS_VERIFY)"),
    ]
    return [told for switch, told in switches if not switch]
