"""The message to a receiver."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from app.notifications.message import sample
from tests.notifications.receiver import CHANGED


def test_the_body_says_who_stands_how_and_how_it_stood() -> None:
    assert json.loads(CHANGED.body(1_700_000_000.0)) == {
        "type": "reference.verified",
        "timestamp": "2023-11-14T22:13:20+00:00",
        "data": {
            "client_reference_id": "user-1",
            "account": "acct_1",
            "livemode": False,
            "purpose": "",
            "standing": {
                "status": "verified",
                "session_id": "vs_1",
                "since": 100,
                "verified_at": 100,
                "attempts": 1,
                "last_error_code": None,
                "next_step": "none",
                "redaction": None,
                "type": "document",
                "verification_flow": None,
                "options": {"document": {"require_matching_selfie": True}},
                "version": 3,
                "attempts_counted": 0,
                "attempts_granted": 0,
                "verified_until": None,
            },
            "previous_status": "processing",
        },
    }


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        CHANGED.livemode = True  # type: ignore[misc]


def test_the_sample_is_of_a_version_that_no_reference_has() -> None:
    assert sample(livemode=True).standing.version == 0
    assert sample(livemode=True).livemode
