"""Lives of users at Stripe, for the demo: what each of them does, step by step."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.cli.local.stripe_side import StripeSide

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


@dataclass(frozen=True, slots=True)
class Life:
    """One reference and what happens to it, as words of `play`."""

    reference: str
    steps: tuple[str, ...]


# Each is a way that real users go; `fail` is one of FAILURES, drawn by the seed.
WAYS: tuple[tuple[str, ...], ...] = (
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


def lives(count: int, seed: int) -> list[Life]:
    """`count` lives; the first ones go every way once, the others as the seed draws."""
    draw = random.Random(seed)  # a story, not a secret
    found = []
    for number in range(count):
        way = WAYS[number] if number < len(WAYS) else draw.choice(WAYS)
        steps = tuple(draw.choice(FAILURES) if step == "fail" else step for step in way)
        found.append(Life(f"user_{number + 1:04d}", steps))
    return found


def play(life: Life, side: StripeSide) -> None:
    """Live it. The steps of one life follow each other; lives go side by side."""
    sessions: list[str] = []
    for step in life.steps:
        if step == "create":
            sessions.append(side.create(life.reference))
        elif step == "cancel":
            side.cancel(sessions[-1])
        elif step == "redact":
            side.redact(sessions[-1])
        elif step == "verified_first":
            side.submit(sessions[0], "verified")
        else:
            side.submit(sessions[-1], step)
