"""The demo's comparison of the ledger with Stripe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.standing import Standing
from app.local.comparison import Comparison
from app.local.sandbox_client import Truth

STANDING = Standing("verified", "vs_1", 10, 10, 1, None, "none", None, version=3)
TRUTH = Truth("verified", "vs_1", None, 1, None)


def test_a_comparison_matches_if_the_ledger_says_what_stripe_says() -> None:
    assert Comparison("user_1", STANDING, TRUTH).matches


@pytest.mark.parametrize(
    "standing",
    [
        None,
        STANDING._replace(status="processing"),
        STANDING._replace(session_id="vs_2"),
        STANDING._replace(session_id=None),
        STANDING._replace(attempts=2),
        STANDING._replace(last_error_code="abandoned"),
        STANDING._replace(redaction="redacted"),
    ],
    ids=["none", "status", "session", "no session", "attempts", "last error", "redaction"],
)
def test_a_comparison_does_not_match_if_anything_differs(standing: Standing | None) -> None:
    assert not Comparison("user_1", standing, TRUTH).matches


@pytest.mark.parametrize(
    "truth",
    [
        {"status": "canceled"},
        {"session_id": "vs_2"},
        {"last_error": "abandoned"},
        {"attempts": 0},
        {"redaction": "processing"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_comparison_does_not_match_if_stripe_says_otherwise(truth: dict[str, Any]) -> None:
    assert not Comparison("user_1", STANDING, replace(TRUTH, **truth)).matches
