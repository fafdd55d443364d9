"""Apply observations: commit them with all they cause, then enqueue the effects."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.reconcile import Applied
from app.domain.session import Observation
from app.operations.effects import enqueue_effects
from app.stores import Stores


def apply_observations(
    observations: Sequence[Observation], stores: Stores, now: float
) -> list[Applied]:
    """Commit the observations under the team's policy, then enqueue what follows.

    If the process dies in between, the clock finds the effects in the ledger. `now` is in Unix
    seconds. Raises the ledger's errors.
    """
    applied = stores.ledger.apply(observations, policy=stores.settings.policy, now=int(now))
    enqueue_effects([effect for one in applied for effect in one.effects], stores.effects, now)
    return applied
