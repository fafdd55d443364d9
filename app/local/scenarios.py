"""What users do at Stripe, for the demo: each scenario is one user's steps, in order."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.local.sandbox_client import SandboxClient

FAILURES = (
    "abandoned",
    "consent_declined",
    "country_not_supported",
    "document_expired",
    "document_unverified_other",
    "id_number_mismatch",
    "selfie_face_mismatch",
    "selfie_manipulated",
    "under_supported_age",
)
# What real users do. `fail` stands for one of FAILURES.
TEMPLATES: tuple[tuple[str, ...], ...] = (
    ("create",),
    ("create", "verified"),
    ("create", "fail"),
    ("create", "fail", "verified"),
    ("create", "fail", "fail", "fail"),
    ("create", "cancel"),
    ("create", "fail", "cancel", "create", "verified"),
    ("create", "cancel", "create", "fail"),
    ("create", "cancel", "create"),
    ("create", "verified", "redact"),
    ("create", "fail", "verified", "redact"),
    ("create", "create", "verified_first"),
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One reference and what happens to it.

    A step is `create`, `cancel`, `redact`, `verified_first` (of the first session), or an outcome
    that the newest session is submitted with.
    """

    reference: str
    steps: tuple[str, ...]


def scenarios(count: int, seed: int) -> list[Scenario]:
    """`count` scenarios: each template once, then random ones; the same seed gives the same."""
    draw = random.Random(seed)  # reproducible; nothing here is secret
    found = []
    for number in range(count):
        template = TEMPLATES[number] if number < len(TEMPLATES) else draw.choice(TEMPLATES)
        steps = tuple(draw.choice(FAILURES) if step == "fail" else step for step in template)
        found.append(Scenario(f"user_{number + 1:04d}", steps))
    return found


def run(scenario: Scenario, client: SandboxClient) -> None:
    """Take the steps one after the other. Several scenarios can run at the same time."""
    sessions: list[str] = []
    for step in scenario.steps:
        if step == "create":
            sessions.append(client.create(scenario.reference))
        elif step == "cancel":
            client.cancel(sessions[-1])
        elif step == "redact":
            client.redact(sessions[-1])
        elif step == "verified_first":
            client.submit(sessions[0], "verified")
        else:
            client.submit(sessions[-1], step)
