"""An event's processing, what follows from it, and its tries, as a worker records them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from redis import Redis

from app.local.fault_injection import broken_session
from app.local.valkey import Valkey
from app.queue.model import EFFECTS, EVENTS
from app.queue.transitions import JobQueue
from app.telemetry.trace_ids import send_span_id_of, with_trace_id
from tests.notifications.receiver import Delivery, Receiver, answering
from tests.support.events import SENSITIVE
from tests.support.logs import logged
from tests.support.workers import NOW, event_job
from tests.telemetry.recording import (
    Recording,
    context_of,
    linked,
    parent_of,
    told,
    trace_of,
)
from tests.telemetry.working import Working, verified, working
from workers.clock import EFFECT_GRACE, Clock

SEND, PROCESS = "send identity-events", "process identity-events"
SEND_EFFECT, PROCESS_EFFECT, CALL = (
    "send identity-effects",
    "process identity-effects",
    "POST",
)
# Of a standing that changes for the first time: the time, as it is kept.
VERSION = int(NOW)


# --- one way ------------------------------------------------------------------------------------


def test_an_event_is_processed_in_the_span_that_enqueued_it(work: Working) -> None:
    work.enqueue(verified())
    work.run_events()
    send, process = work.recording.one(SEND), work.recording.one(PROCESS)
    assert process.kind is SpanKind.CONSUMER
    assert parent_of(process) == context_of(send).span_id == int(send_span_id_of("evt_1"), 16)
    assert dict(process.attributes or {}) == {
        "messaging.system": "rq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "identity-events",
        "messaging.message.id": "evt_1",
        "identity.attempt": 1,
        "identity.batch_size": 1,
        "identity.outcome": "done",
    }


def test_from_event_to_callback_there_is_one_trace_each_step_in_the_one_before(
    work: Working, receiver: Receiver
) -> None:
    work.enqueue(verified())
    work.run_events()
    work.run_effects()
    way = [work.recording.one(name) for name in (SEND, PROCESS, SEND_EFFECT, PROCESS_EFFECT, CALL)]
    assert {context_of(span).trace_id for span in way} == {trace_of("evt_1")}
    assert [parent_of(span) for span in way] == [
        None,
        *(context_of(span).span_id for span in way[:-1]),
    ]
    assert len(receiver.accepted) == 1


def test_the_callback_carries_the_span_of_its_call(work: Working, receiver: Receiver) -> None:
    work.enqueue(verified())
    work.run_events()
    work.run_effects()
    call = work.recording.one(CALL)
    (request,) = receiver.requests
    assert request["headers"]["traceparent"] == (
        f"00-{trace_of('evt_1'):032x}-{context_of(call).span_id:016x}-01"
    )
    assert call.kind is SpanKind.CLIENT
    assert dict(call.attributes or {}) == {
        "http.request.method": "POST",
        "identity.receiver": "callback",
        "http.response.status_code": 204,
    }


def test_an_effect_that_the_clock_enqueues_is_in_the_span_that_enqueued_its_event(
    work: Working, redis: Redis
) -> None:
    work.enqueue(verified())
    work.run_events()
    redis.delete(f"rq:job:evt_1-notify-{VERSION}", "rq:queue:identity-effects")
    work.recording.forget()
    later = NOW + 2 * EFFECT_GRACE
    assert Clock(replace(work.context, now=lambda: later)).enqueue_effects() == 1
    send = work.recording.one(SEND_EFFECT)
    assert told(send, "identity.outcome") == "enqueued"
    assert context_of(send).trace_id == trace_of("evt_1")
    assert parent_of(send) == int(send_span_id_of("evt_1"), 16)


# --- batches ------------------------------------------------------------------------------------


def test_each_event_of_a_batch_is_processed_in_its_own_trace(work: Working) -> None:
    work.enqueue(*(verified(n) for n in range(3)))
    work.run_events()
    spans = work.recording.named(PROCESS)
    assert {told(span, "identity.batch_size") for span in spans} == {3}
    assert [context_of(span).trace_id for span in spans] == [trace_of(f"evt_{n}") for n in range(3)]
    assert [parent_of(span) for span in spans] == [
        int(send_span_id_of(f"evt_{n}"), 16) for n in range(3)
    ]


def test_the_effects_of_a_batch_are_each_in_the_span_of_their_own_event(work: Working) -> None:
    work.enqueue(*(verified(n) for n in range(3)))
    work.run_events()
    for n in range(3):
        process = work.recording.one(PROCESS, f"evt_{n}")
        assert parent_of(work.recording.one(SEND_EFFECT, f"evt_{n}-notify-{VERSION}")) == (
            context_of(process).span_id
        )


def test_of_a_batch_that_fails_each_event_is_recorded_once_by_what_became_of_it(
    work: Working,
) -> None:
    work.enqueue(*(verified(n) for n in range(3)))
    with broken_session(work.context.stores.engine, "vs_1"):
        work.run_events()
    outcomes = {
        told(span, "messaging.message.id"): told(span, "identity.outcome")
        for span in work.recording.named(PROCESS)
    }
    assert outcomes == {"evt_0": "done", "evt_1": "buried", "evt_2": "done"}
    assert len(work.recording.named(PROCESS)) == 3


# --- failures -----------------------------------------------------------------------------------


def test_an_attempt_that_failed_says_why_by_a_class_and_the_next_one_links_to_it(
    work: Working, receiver: Receiver
) -> None:
    receiver.behaviours.append(answering(503))
    work.enqueue(verified())
    work.run_events()
    work.run_effects()
    work.hurry(work.effects)
    work.run_effects()
    first, second = work.recording.named(PROCESS_EFFECT)
    assert first.status.status_code is StatusCode.ERROR
    assert first.status.description is None
    assert told(first, "error.type") == "ReceiverUnavailable"
    assert told(first, "identity.outcome") == "deferred"
    assert (told(second, "identity.attempt"), told(second, "identity.outcome")) == (2, "done")
    assert linked(second) == [context_of(first).span_id]
    assert context_of(second).trace_id == context_of(first).trace_id
    calls = work.recording.named(CALL)
    assert [told(call, "http.response.status_code") for call in calls] == [503, 204]
    assert told(calls[0], "error.type") == "503"


@pytest.mark.parametrize("by", ["operator", "resend"])
def test_a_replay_of_a_dead_letter_links_to_the_attempt_that_died(work: Working, by: str) -> None:
    work.enqueue(verified())
    with broken_session(work.context.stores.engine, "vs_1"):
        work.run_events()
    if by == "operator":
        work.events.replay(["evt_1"])
    else:
        work.enqueue(verified())
    work.run_events()
    died, again = work.recording.named(PROCESS)
    assert (told(died, "identity.outcome"), told(died, "identity.reason")) == (
        "buried",
        "permanent_error",
    )
    assert (told(again, "identity.attempt"), told(again, "identity.outcome")) == (1, "done")
    assert linked(again) == [context_of(died).span_id]
    sends = work.recording.named(SEND)
    assert [linked(send) for send in sends[1:]] == (
        [] if by == "operator" else [[context_of(sends[0]).span_id]]
    )


def test_a_job_that_cannot_be_read_is_recorded_as_buried(work: Working, redis: Redis) -> None:
    work.enqueue(verified())
    redis.hset("rq:job:evt_1", "data", f"{SENSITIVE} is no JSON")
    work.run_events()
    process = work.recording.one(PROCESS)
    assert told(process, "identity.outcome") == "buried"
    assert told(process, "error.type") == "ValueError"
    assert SENSITIVE not in work.recording.text


def test_a_job_that_another_worker_has_by_now_is_recorded_as_such(
    work: Working, redis: Redis, receiver: Receiver
) -> None:
    def lose_it(delivery: Delivery) -> None:
        redis.delete(f"rq:wip:{EFFECTS.rq_name}")
        delivery.answer(503)

    receiver.behaviours.append(lose_it)
    work.enqueue(verified())
    work.run_events()
    work.run_effects()
    assert told(work.recording.named(PROCESS_EFFECT)[0], "identity.outcome") == "lease_lost"


def test_what_a_failed_span_was_is_kept_only_by_the_job_that_failed(
    work: Working, redis: Redis
) -> None:
    work.enqueue(verified(1), verified(2))
    with broken_session(work.context.stores.engine, "vs_1"):
        work.run_events()
    kept = redis.hget("rq:job:evt_1", "failed_span")
    assert kept == format(context_of(work.recording.one(PROCESS, "evt_1")).span_id, "016x").encode()
    assert redis.hget("rq:job:evt_2", "failed_span") is None


def test_a_job_that_fails_without_traces_keeps_no_span(redis: Redis) -> None:
    jobs = JobQueue(redis, EVENTS, "worker")
    jobs.enqueue_all([verified(1), verified(2)])
    first, second = jobs.claim("token", 60, 2)
    assert jobs.retry_later(first, 60, "Busy", "busy")
    assert jobs.bury(second, "permanent_error", "Broken", "broken")
    for id in ("evt_1", "evt_2"):
        assert not redis.hexists(f"rq:job:{id}", "failed_span")


# --- what is kept out ---------------------------------------------------------------------------


def test_no_span_names_a_person_or_an_address(work: Working, receiver: Receiver) -> None:
    work.enqueue(event_job("evt_1", "verified", "verified", reference=f"user-{SENSITIVE}"))
    work.run_events()
    work.run_effects()
    assert len(receiver.accepted) == 1
    assert SENSITIVE not in work.recording.text
    assert "hush" not in work.recording.text
    # As a number of its own: the same digits may stand in a time or in a span's id.
    assert not re.search(rf"(?<![.\da-f]){receiver.port}(?![\da-f])", work.recording.text)


def test_what_is_not_sampled_is_not_recorded_and_the_receiver_is_told_so(
    valkey: Valkey, redis: Redis, database_url: str, receiver: Receiver
) -> None:
    recording = Recording(ParentBased(ALWAYS_OFF))
    with working(recording, valkey.url, database_url, receiver.url) as work:
        work.enqueue(verified())
        work.run_events()
        work.run_effects()
    assert recording.ended == []
    (request,) = receiver.requests
    assert request["headers"]["traceparent"].startswith(f"00-{trace_of('evt_1'):032x}-")
    assert request["headers"]["traceparent"].endswith("-00")


# --- the log ------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged(with_trace_id) as stream:
        yield stream


def test_lines_about_one_job_name_its_trace(
    work: Working, receiver: Receiver, log: io.StringIO
) -> None:
    receiver.behaviours.append(answering(410))
    work.enqueue(verified())
    work.run_events()
    work.run_effects()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    said = {line["event"]: line.get("trace_id") for line in lines}
    trace_id = f"{trace_of('evt_1'):032x}"
    for event in (
        "event processed",
        "receiver answered 410; nothing more is sent to it",
        "job buried",
    ):
        assert said[event] == trace_id
