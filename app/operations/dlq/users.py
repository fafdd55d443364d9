"""Whom a job is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.standing import ReferenceKey


def user_of(payload: Mapping[str, Any]) -> str | None:
    """What tells the user of a job from others: the digest of a reference, else a session.

    `payload` is the job's, by name; None if it names neither.
    """
    if payload.get("reference_key"):  # a notification's
        return str(payload["reference_key"])
    if payload.get("reference") is None:
        return str(payload["session_id"]) if payload.get("session_id") else None
    account, livemode = str(payload.get("account", "")), bool(payload.get("livemode"))
    purpose = str(payload.get("purpose", ""))
    return ReferenceKey(account, livemode, str(payload["reference"]), purpose).digest
