"""What kills its workers is buried, but never what the ledger has already."""

from __future__ import annotations

import pytest

from app.ledger.engine import LedgerUnavailable
from app.operations.rescue import Taken, rescue
from app.queue.model import NewJob, effect_job
from app.queue.transitions import MAX_EXPIRIES, JobQueue
from tests.support.deployment import Deployment, letter
from tests.support.places import end_lease, place


def loses_its_worker(deployment: Deployment, queue: JobQueue, job: NewJob) -> None:
    """The job has lost as many workers as it may; its last lease is over."""
    queue.enqueue(job)
    for number in range(MAX_EXPIRIES):
        assert [one.id for one in queue.claim(f"t{number}", 60, 1)] == [job.id]
        end_lease(deployment.redis, job.id, queue.spec)
        if number < MAX_EXPIRIES - 1:
            assert rescue(queue, deployment.ledger) == Taken(queued=1)


def test_an_event_that_the_ledger_lacks_is_buried(deployment: Deployment) -> None:
    loses_its_worker(deployment, deployment.events, letter("evt_1"))
    assert rescue(deployment.events, deployment.ledger) == Taken(buried=1)
    (dead,) = deployment.letters
    assert (dead.id, dead.reason, dead.error_class) == ("evt_1", "crashed_worker", "LeaseExpired")
    assert dead.error == "its worker died or hung 3 times"


def test_an_event_that_the_ledger_has_is_completed(deployment: Deployment) -> None:
    loses_its_worker(deployment, deployment.events, letter("evt_1"))
    deployment.apply(letter("evt_1"))  # by the worker that died before it could say so
    assert rescue(deployment.events, deployment.ledger) == Taken(completed=1)
    assert place(deployment.redis, "evt_1") == "finished"
    assert deployment.dead == set()


def test_a_thin_event_that_has_asked_for_its_session_is_completed(deployment: Deployment) -> None:
    thin = NewJob("evt_1", ["evt_1", "verified", 1_700_000_000, "", False, "vs_1"], "verified vs_1")
    loses_its_worker(deployment, deployment.events, thin)
    deployment.apply(thin)
    assert rescue(deployment.events, deployment.ledger) == Taken(completed=1)


@pytest.mark.parametrize("status", ["pending", "done", "dropped"])
def test_only_an_effect_that_is_still_to_be_done_is_buried(
    deployment: Deployment, status: str
) -> None:
    effects, ledger = deployment.stores.effects, deployment.ledger
    id = deployment.bury_effect()
    effects.discard([id])
    (effect,) = ledger.effects_due_unsent(2**40, 1)
    loses_its_worker(deployment, effects, effect_job(effect, 2.0**40))
    if status != "pending":
        ledger.mark_effects([id], status, 1)  # type: ignore[arg-type]  # one of the two
    taken = rescue(effects, ledger)
    assert taken == (Taken(buried=1) if status == "pending" else Taken(completed=1))


def test_nothing_is_buried_while_the_ledger_is_away(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    loses_its_worker(deployment, deployment.events, letter("evt_1"))

    def away(ids: object) -> set[str]:
        raise LedgerUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(deployment.ledger, "has_events", away)
        with pytest.raises(LedgerUnavailable):
            rescue(deployment.events, deployment.ledger)
    assert place(deployment.redis, "evt_1") == "started"
    end_lease(deployment.redis, "evt_1")
    deployment.apply(letter("evt_1"))
    assert rescue(deployment.events, deployment.ledger) == Taken(completed=1)
