"""Effects that are asked for of sessions at a local Stripe, and not yet done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.domain.effects import PendingEffect
from app.domain.standing import Standing
from tests.sandbox.processes import Sandbox
from tests.support.waiting import eventually
from workers.context import Context

KEY = "sk_test_123"


def opened(sandbox: Sandbox, reference: str = "user-1") -> str:
    """A session that somebody has opened."""
    return (
        sandbox.client(KEY)
        .v1.identity.verification_sessions.create(
            {"type": "document", "client_reference_id": reference}
        )
        .id
    )


def failed(sandbox: Sandbox) -> str:
    """A session whose first attempt has failed."""
    session = opened(sandbox)
    sandbox.submit(session, "document_expired")
    eventually(lambda: sandbox.truth(session)["attempts"] == 1)
    return session


def asked(context: Context, kind: str, session: str, **fields: Any) -> PendingEffect:
    """An effect of this kind in the ledger, that nobody has done yet."""
    effect = PendingEffect(
        f"{session}-{kind}", kind, "", False, session, None, 1, int(context.now())
    )
    effect = replace(effect, **fields)
    assert context.stores.ledger.add_effects([effect], 0) == [effect]
    return effect


def standing(context: Context, reference: str = "user-1") -> Standing | None:
    record = context.stores.ledger.read_reference(reference, livemode=False)
    return None if record is None else record.standing
