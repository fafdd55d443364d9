"""Cancel an open session at Stripe, for an operator."""

from __future__ import annotations

from app.domain.snapshot import SessionKey
from app.operations.apply import merge_answer
from app.stores import Stores


def cancel_session(stores: Stores, session: SessionKey, now: float) -> str:
    """Cancel it, and bring the answer into the ledger; gives its status then.

    `now` is in Unix seconds. Raises Misconfigured without an API key, and StripeFailure: Stripe
    refuses one that is not in `requires_input`.
    """
    answer = stores.require_stripe().end("cancel", session.id, {}, session.account)
    merge_answer(answer, stores, now)
    return answer.status
