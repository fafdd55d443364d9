"""What is reported to Sentry of a bug: where it is in the code, and nothing of whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from starlette.datastructures import Secret
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.domain.errors import BadSignature, IdentityError, Misconfigured, Permanent, Transient
from app.ledger.ledger import Ledger
from app.local.valkey import Valkey
from app.queue.transitions import JobQueue
from app.telemetry import bugs
from app.telemetry.process import observed
from app.web.main import create_app
from tests.support.places import new
from tests.support.workers import worker_of
from tests.web.conftest import TOKEN, settings_of
from tests.workers.runs import fails

DSN = Secret("https://0123456789abcdef@sentry.example/42")
PLANTED = "PLANTED-VALUE"


class Sink(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope.serialize())

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(sent.splitlines()[2]) for sent in self.sent]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    bugs.start(DSN, "worker", sink)
    yield sink
    bugs.stop()


def planted_bug(argument: str = PLANTED) -> Exception:
    """An error whose text, cause, notes and frames hold what must not leave."""
    local = f"{argument} in a variable"
    try:
        try:
            raise KeyError(local)
        except KeyError as cause:
            raise ValueError(f"{argument} in a text") from cause
    except ValueError as error:
        error.add_note(f"{argument} in a note")
        return error


def test_a_bug_is_reported_with_its_class_and_the_place_in_the_code(sink: Sink) -> None:
    bugs.report(planted_bug(), job_id="evt_1")
    (event,) = sink.events
    cause, error = event["exception"]["values"]
    assert [cause["type"], error["type"]] == ["KeyError", "ValueError"]
    frame = error["stacktrace"]["frames"][-1]
    assert (frame["function"], frame["module"]) == ("planted_bug", "tests.telemetry.test_bugs")
    assert isinstance(frame["lineno"], int)
    assert event["tags"] == {"part": "worker", "job_id": "evt_1"}


def test_nothing_of_a_bugs_text_or_variables_leaves(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SETTING", PLANTED)
    bugs.report(planted_bug(), job_id="evt_1")
    (sent,) = sink.sent
    assert PLANTED.encode() not in sent
    assert b"raise ValueError" not in sent  # nor the source, whose texts may be people's
    assert b"0123456789abcdef" not in sent


def test_an_event_has_no_field_that_is_not_known_to_be_harmless(sink: Sink) -> None:
    bugs.report(planted_bug())
    (event,) = sink.events
    assert set(event) <= {*bugs.EVENT_FIELDS, "tags", "exception"}
    for value in event["exception"]["values"]:
        assert set(value) <= {*bugs.EXCEPTION_FIELDS, "stacktrace"}
        for frame in value["stacktrace"]["frames"]:
            assert set(frame) <= set(bugs.FRAME_FIELDS)


@pytest.mark.parametrize(
    "error",
    [Transient("away"), Permanent("no"), BadSignature("no"), Misconfigured(["no"])],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_bug_is_not_reported(sink: Sink, error: IdentityError) -> None:
    bugs.report(error)
    assert sink.sent == []


def test_without_a_dsn_nothing_is_reported() -> None:
    bugs.start(None, "worker")
    bugs.report(planted_bug())
    bugs.stop()


def test_a_job_that_dies_of_a_bug_is_reported_and_one_that_was_refused_is_not(
    sink: Sink, redis: Redis, jobs: JobQueue
) -> None:
    jobs.enqueue_all([new("evt_1", n="evt_1")])
    worker_of(redis, fails("evt_1", error=Permanent("will not do"))).run_once()
    jobs.enqueue_all([new("evt_2", n="evt_2")])
    worker_of(redis, fails("evt_2", error=planted_bug())).run_once()
    (event,) = sink.events
    assert event["tags"] == {"part": "worker", "job_id": "evt_2"}
    assert PLANTED.encode() not in sink.sent[0]


def test_a_call_that_fails_by_a_bug_is_reported_by_its_route_alone(
    sink: Sink, valkey: Valkey, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise planted_bug()

    settings = Settings.from_environment(settings_of(valkey.url, database_url))
    monkeypatch.setattr(Ledger, "read_reference", broken)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        answer = client.get(
            f"/v1/references/{PLANTED}?livemode=false",
            headers={"Authorization": f"Bearer {TOKEN}", "X-Request-ID": PLANTED},
        )
        assert answer.status_code == 500
        (event,) = sink.events
    assert event["tags"] == {"part": "worker", "call": "GET /v1/references/{reference:reference}"}
    assert PLANTED.encode() not in sink.sent[0]
    assert TOKEN.encode() not in sink.sent[0]


def test_a_process_that_dies_of_a_bug_reports_it_before_it_ends(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=PLANTED), observed(Settings(), "clock"):
        raise planted_bug()
    assert len(sink.sent) == 1
