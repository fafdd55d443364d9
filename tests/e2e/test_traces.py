"""Traces and reports of bugs of the whole product, in processes, as a collector is sent them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.queue.model import encode
from app.telemetry.trace_ids import trace_id_of
from tests.e2e.parts import Product, running
from tests.notifications.receiver import SECRET, Receiver, receiving
from tests.support.waiting import eventually
from tests.telemetry.sink import Exported, Sink, environment, listening

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening() as sink:
        yield sink


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory, sink: Sink, receiver: Receiver
) -> Iterator[Product]:
    notified = {
        "NOTIFY_URL": receiver.url,
        "NOTIFY_SECRET": SECRET,
        "NOTIFY_ALLOW_PRIVATE": "1",
    }
    folder = tmp_path_factory.mktemp("traced")
    with running(folder, **environment(sink), **notified) as product:
        yield product


def way_of(event_id: str, sink: Sink, length: int) -> list[Exported]:
    """The spans of an event's trace, once there are so many."""

    def whole() -> list[Exported] | None:
        found = [one for one in sink.spans if one.trace_id == trace_id_of(event_id)]
        return found if len(found) >= length else None

    found = eventually(whole, 30)
    assert found is not None
    return found


def test_from_stripes_delivery_to_the_teams_callback_there_is_one_trace(
    product: Product, sink: Sink, receiver: Receiver
) -> None:
    event = product.event("vs_traced", "verified", "verified", reference="traced")
    assert product.outcome(event) == "enqueued"
    product.await_status("traced", "verified")
    spans = way_of(event["id"], sink, 6)
    assert [(span.part, span.name) for span in spans] == [
        ("web", "POST /webhooks/stripe"),
        ("web", "send identity-events"),
        ("worker", "process identity-events"),
        ("worker", "send identity-effects"),
        ("worker", "process identity-effects"),
        ("worker", "POST"),
    ]
    assert [span.parent for span in spans] == ["", *(span.id for span in spans[:-1])]
    (request,) = receiver.requests
    assert request["headers"]["traceparent"] == f"00-{spans[0].trace_id}-{spans[-1].id}-01"
    assert receiver.refused == 0


def test_the_log_names_the_trace_of_an_event_in_each_process(product: Product, sink: Sink) -> None:
    event = product.event("vs_logged", "processing", "processing", reference="logged")
    product.outcome(event)
    way_of(event["id"], sink, 4)
    for log in ("web.log", "workers.log"):
        lines = Path(product.stack.folder, log).read_text().splitlines()
        about = [json.loads(line) for line in lines if event["id"] in line]
        assert about, log
        assert {line["trace_id"] for line in about} == {trace_id_of(event["id"])}


def test_a_bug_in_a_worker_is_reported_by_the_job_that_died_of_it(
    product: Product, sink: Sink
) -> None:
    """A job of the right length whose values are of the wrong types: no code of ours expects it."""
    payload = ["evt_bug", "verified", *[{"KEEP": "K4NARY"}] * 15]
    product.redis.hset(
        "rq:job:evt_bug",
        mapping={
            "data": encode("workers.jobs.process_event", payload),
            "description": "verified vs_bug",
            "origin": "identity-events",
            "status": "queued",
        },
    )
    product.redis.rpush("rq:queue:identity-events", "evt_bug")
    eventually(lambda: product.is_dead("evt_bug"), 30)
    eventually(lambda: sink.bugs, 30)
    (report,) = sink.bugs
    event = json.loads(report.splitlines()[2])
    assert event["tags"] == {"part": "worker", "job_id": "evt_bug"}
    assert b"K4NARY" not in report
