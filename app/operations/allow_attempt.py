"""Allow a user one more attempt than MAX_ATTEMPTS, with the reason in the timeline."""

from __future__ import annotations

from app.domain.standing import ReferenceKey, Standing
from app.operations.effects import enqueue_effects
from app.stores import Stores

MAX_REASON = 500  # characters


def usable_reason(text: str) -> bool:
    """Whether the timeline can keep the text as the reason."""
    return bool(text.strip()) and len(text) <= MAX_REASON and "\0" not in text


def allow_attempt(stores: Stores, key: ReferenceKey, *, why: str, now: int) -> Standing | None:
    """The standing with one more attempt; None for a reference never seen.

    It lasts until the user is verified anew. `now` is in Unix seconds. Raises the ledger's errors.
    """
    policy = stores.settings.policy
    revision = stores.ledger.revisions.allow_attempt(key, why=why, policy=policy, now=now)
    if revision is None:
        return None
    enqueue_effects(revision.effects, stores.effects, now)
    return revision.standing
