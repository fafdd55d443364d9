"""What the doctor says of jobs that fail and are tried again."""

from __future__ import annotations

import pytest

from app.doctor.deferred import MANY, judge
from app.domain.durations import HOUR, MINUTE
from app.queue.deferred import DeferredReason, DeferredSummary
from app.queue.model import EFFECTS
from app.queue.transitions import JobQueue
from tests.doctor.deployment import Deployment, assert_is
from tests.support.places import claim_one, failing_for, new


def waiting(count: int, seconds: float, *, complete: bool = True) -> DeferredSummary:
    reason = DeferredReason("ReceiverUnavailable", count, seconds, "the receiver answered 503")
    return DeferredSummary((reason,), complete)


NONE = DeferredSummary((), True)


@pytest.mark.parametrize(
    ("count", "seconds", "state"),
    [
        (1, 5 * MINUTE - 1, "ok"),
        (MANY, 5 * MINUTE - 1, "ok"),
        (1, 5 * MINUTE, "warning"),
        (MANY - 1, HOUR - 1, "warning"),
        (1, HOUR, "wrong"),
        (MANY, 5 * MINUTE, "wrong"),
    ],
)
def test_it_is_judged_by_how_many_and_for_how_long(count: int, seconds: float, state: str) -> None:
    found = judge({"events": NONE, "effects": waiting(count, seconds)})
    assert_is(found, state, f"{count} effects failed", "the receiver answered 503")


def test_many_are_counted_over_both_queues() -> None:
    half = waiting(MANY // 2, 10 * MINUTE)
    assert judge({"events": half, "effects": half}).state == "wrong"


def test_the_queue_is_named_in_the_advice_only_where_it_has_to_be() -> None:
    some = waiting(1, HOUR)
    assert "--queue effects" in judge({"events": NONE, "effects": some}).hint
    assert "--queue" not in judge({"events": some, "effects": some}).hint


def test_more_than_are_counted_are_said_to_be_more() -> None:
    found = judge({"events": NONE, "effects": waiting(1_000, HOUR, complete=False)})
    assert_is(found, "wrong", "more than 1000 effects")


def test_the_most_frequent_reasons_are_told_and_the_number_of_the_others() -> None:
    reasons = tuple(DeferredReason(f"Error{n}", 9 - n, HOUR, "it broke") for n in range(5))
    message = judge({"events": DeferredSummary(reasons, True), "effects": NONE}).message
    assert message.endswith("7 Error2 (it broke) and 2 other reasons")


def test_a_receiver_that_is_dead_for_an_hour_is_wrong_though_nothing_is_queued(
    deployment: Deployment,
) -> None:
    assert_is(deployment.examine()["deferred"], "ok", "nothing waits")
    effects = JobQueue(deployment.redis, EFFECTS)
    effects.enqueue(new("evt_1-notify"))
    effects.retry_later(claim_one(effects), 600, "ReceiverUnavailable", "it answered 503")
    assert_is(deployment.examine()["deferred"], "ok", "for 0 s by now")
    failing_for(deployment.redis, "evt_1-notify", 2 * HOUR)
    found = deployment.examine()
    assert_is(
        found["deferred"],
        "wrong",
        "1 effects failed and are tried again, for 2 h by now",
        "1 ReceiverUnavailable (it answered 503)",
        "dlq list --deferred",
    )
    assert_is(found["queue"], "ok")
