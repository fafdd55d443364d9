"""The two functions that a job may name, and the refusal of all others."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

import workers.jobs
from app.domain.effects import PendingEffect
from app.domain.errors import QueueUnavailable, UnknownJobFunction, UnreadableEvent
from app.domain.event import SessionEvent
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, EVENTS, Call, NewJob, QueueSpec, effect_job, encode
from app.queue.transitions import JobQueue
from tests.support.events import OPENED
from tests.support.ledger import count_events
from tests.support.places import counts, place
from tests.support.workers import NOW, apply_one, event_job, payload, with_stores, worker_of
from workers.clock import EFFECT_GRACE, Clock
from workers.context import Context
from workers.jobs import call, process_event, run_effect

PROCESSING = payload("processing", "processing", at=OPENED + 5)
RECHECK = "evt_1-recheck"


@pytest.mark.parametrize(
    ("queue", "function"), [(EVENTS, process_event), (EFFECTS, run_effect)], ids=["event", "effect"]
)
def test_the_queue_names_the_very_function_that_we_call(queue: QueueSpec, function: Any) -> None:
    module, _, name = queue.function.rpartition(".")
    assert getattr(importlib.import_module(module), name) is function
    assert workers.jobs.FUNCTIONS[queue.function] is function


def test_an_event_is_applied_to_the_ledger(context: Context) -> None:
    process_event(payload("verified", "verified"), context)
    record = context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert (record.standing.status, record.standing.version) == ("verified", int(NOW))


def test_an_event_that_comes_twice_is_applied_once(context: Context) -> None:
    event = SessionEvent.unpack(payload("verified", "verified")).observation()
    assert [apply_one(context, event).outcome for _ in range(2)] == ["applied", "duplicate"]
    assert count_events(context.stores.engine) == 1


def test_an_effect_is_enqueued_for_the_time_it_is_due(context: Context, redis: Redis) -> None:
    process_event(PROCESSING, context)
    before = redis.time()[0]
    score = redis.zscore("rq:scheduled:identity-effects", RECHECK)
    assert score is not None
    assert before + 890 < score < before + 910
    assert context.stores.ledger.effect_status(RECHECK) == "pending"


def test_an_effect_that_is_due_is_enqueued_at_once(context: Context) -> None:
    settings = replace(context.stores.settings, notify_stream="changes")
    process_event(payload("verified", "verified"), with_stores(context, settings=settings))
    (claimed,) = context.stores.effects.claim("token", 60, 10)
    assert claimed.id.startswith("evt_1-notify-")


def test_an_effect_whose_time_has_passed_is_not_late_by_more_than_that(context: Context) -> None:
    row = PendingEffect("e", "cancel", "", False, "vs_1", None, 1, int(NOW) - 500)
    assert effect_job(row, NOW).delay == 0
    assert effect_job(row, NOW - 510).delay == 10


def test_an_effect_is_enqueued_after_the_commit_and_not_without_it(
    context: Context, redis: Redis
) -> None:
    seen: list[str | None] = []

    class Watching(JobQueue):
        def enqueue_all(self, jobs: Any) -> list[str]:
            seen.append(context.stores.ledger.effect_status(RECHECK))
            raise QueueUnavailable("away")

    with capture_logs() as logs:
        process_event(PROCESSING, with_stores(context, effects=Watching(redis, EFFECTS)))
    assert seen == ["pending"]
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["event"], line["effect_count"]) == ("effects wait in the ledger", 1)
    # A second delivery finds the event applied, and leaves the effect to the clock.
    process_event(PROCESSING, context)
    assert redis.keys("*effects*") == []
    Clock(replace(context, now=lambda: NOW + EFFECT_GRACE + 1)).run_once()
    assert counts(context.stores.effects)["scheduled"] == 1


def test_an_event_whose_effects_cannot_be_enqueued_is_done(context: Context, redis: Redis) -> None:
    class Away(JobQueue):
        def enqueue_all(self, jobs: Any) -> list[str]:
            raise QueueUnavailable("away")

    context.stores.events.enqueue(event_job("evt_1", "processing", "processing"))
    worker_of(redis, with_stores(context, effects=Away(redis, EFFECTS))).run_once()
    assert place(redis, "evt_1") == "finished"
    assert context.stores.ledger.effect_status(RECHECK) == "pending"


def test_an_effect_is_not_enqueued_again_by_a_second_delivery(context: Context) -> None:
    for _ in range(3):
        process_event(PROCESSING, context)
    assert counts(context.stores.effects)["scheduled"] == 1


def test_an_event_of_no_form_is_refused(context: Context) -> None:
    fields = [*payload(), "not yet invented"]
    with pytest.raises(UnreadableEvent) as refused:
        process_event(fields, context)
    assert "user-1" not in str(refused.value)


def test_an_event_of_no_form_goes_to_the_dead_letters(context: Context, redis: Redis) -> None:
    context.stores.events.enqueue(NewJob("evt_1", payload()[:-1], "created vs_1"))
    assert worker_of(redis, context).run_once() == 1
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert (letter.reason, letter.error_class) == ("permanent_error", "UnreadableEvent")
    assert letter.payload == {}  # values that nobody can name


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("os.system", ["true"]),
        ("workers.jobs.call", [[]]),
        ("workers.jobs._default_context", [[]]),
        ("process_event", [[]]),
        ("", [[]]),
        (EVENTS.function, []),
        (EVENTS.function, [[], []]),
        (EVENTS.function, ["evt_1"]),
        (EVENTS.function, [{}]),
        (EVENTS.function, [None]),
    ],
)
def test_nothing_is_called_that_is_not_ours_in_name_and_form(
    context: Context, monkeypatch: pytest.MonkeyPatch, function: str, arguments: list[Any]
) -> None:
    called: list[object] = []
    monkeypatch.setattr("os.system", called.append)
    monkeypatch.setitem(workers.jobs.FUNCTIONS, EVENTS.function, lambda *a: called.append(a))
    with pytest.raises(UnknownJobFunction):
        call([Call(function, arguments)], context)
    assert called == []


@pytest.mark.parametrize(
    "data",
    [
        '["os.system", null, ["touch FILE"], {}]',
        '["workers.jobs.process_event", null, [{}], {"context": 1}]',
        '["builtins.eval", null, [{"touch": "FILE"}], {}]',
    ],
)
def test_a_job_that_somebody_put_into_redis_by_hand_is_buried_and_not_run(
    context: Context, redis: Redis, tmp_path: Path, data: str
) -> None:
    mark = tmp_path / "touched"
    context.stores.events.enqueue(event_job())
    redis.hset("rq:job:evt_1", "data", data.replace("FILE", str(mark)))
    worker_of(redis, context).run_once()
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert letter.reason == "permanent_error"
    assert not mark.exists()
    assert count_events(context.stores.engine) == 0


def test_a_foreign_function_is_named_as_such_in_the_dead_letters(
    context: Context, redis: Redis
) -> None:
    context.stores.events.enqueue(event_job())
    redis.hset("rq:job:evt_1", "data", encode("os.system", "true"))
    worker_of(redis, context).run_once()
    letter = DeadLetters(redis, EVENTS).find("evt_1")
    assert letter is not None
    assert letter.error_class == "UnknownJobFunction"


@pytest.mark.parametrize(
    "data",
    [
        "",
        "null",
        "{}",
        "xyz",
        "\0",
        "[" * 100_000,
        '{"a": 1}',
        json.dumps([EVENTS.function, None, {}, {}]),
    ],
    ids=["empty", "null", "object", "not zlib", "NUL", "deep", "no call", "no list"],
)
def test_a_job_whose_bytes_are_no_call_is_buried(context: Context, redis: Redis, data: str) -> None:
    context.stores.events.enqueue(event_job())
    redis.hset("rq:job:evt_1", "data", data)
    worker_of(redis, context).run_once()
    assert place(redis, "evt_1") == "failed"


def test_an_effect_in_the_form_of_another_version_is_buried(context: Context, redis: Redis) -> None:
    context.stores.effects.enqueue(NewJob("e", ["e", "purge"], "purge vs_1"))
    worker_of(redis, context, queue=JobQueue(redis, EFFECTS)).run_once()
    letter = DeadLetters(redis, EFFECTS).find("e")
    assert letter is not None
    assert (letter.reason, letter.error_class) == ("permanent_error", "UnreadableEffect")
