"""Whether the settings can be read, and which features they leave off."""

from __future__ import annotations

from app.configuration.features import switched_off
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
    off = switched_off(deployment.settings)
    return Finding("settings", "ok", f"all can be read; off: {', '.join(off)}" if off else "all on")
