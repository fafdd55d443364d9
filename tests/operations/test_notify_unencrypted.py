"""A callback that goes over the public internet as plain HTTP is warned of."""

from __future__ import annotations

import pytest
from starlette.datastructures import Secret
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.notifications import callback
from app.operations import notify
from tests.notifications.receiver import SECRET, receiving
from tests.support.deployment import Deployment
from tests.support.ledger import observation
from tests.support.workers import apply_one, worker_of
from workers.context import Context


@pytest.mark.slow
@pytest.mark.parametrize(("public", "lines"), [(True, 1), (False, 0)])
def test_it_is_logged_once_in_the_life_of_a_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, public: bool, lines: int
) -> None:
    notify._warn_of_plain_http.cache_clear()
    # What listens here is on this host, whose address is never public.
    monkeypatch.setattr(callback, "is_public", lambda address: public)
    with receiving() as receiver, capture_logs() as logged:
        context = Context.of(
            Settings(
                redis_url=deployment.stores.settings.redis_url,
                database_url=deployment.stores.settings.database_url,
                notify_url=receiver.url,
                notify_secrets=(Secret(SECRET),),
                notify_allow_private=True,
            )
        )
        for user in ("u1", "u2"):
            apply_one(context, observation("verified", 100, session=f"vs_{user}", reference=user))
        effects = context.stores.effects
        worker = worker_of(effects.connection, context, queue=effects)
        for _ in range(4):  # for each change: split, and send
            worker.run_once()
        context.stores.close()
    assert len(receiver.accepted) == 2
    assert len([line for line in logged if "http:// to a public" in line["event"]]) == lines
