"""The trace of a job, which anybody works out from its id."""

from __future__ import annotations

import subprocess

import pytest

from app.telemetry.trace_ids import cause_of, send_span_id_of, trace_id_of, with_trace_id


@pytest.mark.parametrize(
    ("job_id", "cause"),
    [
        ("evt_1", "evt_1"),
        ("evt_1-recheck", "evt_1"),
        ("evt_1-notify-1700000000-notify_callback", "evt_1"),
        ("evt_1-cancel-vs_1", "evt_1"),
        ("vs_1-1700000000-verified-notify-0123456789abcdef-3", "vs_1-1700000000-verified"),
        ("vs_1-1700000000-verified-recheck", "vs_1-1700000000-verified"),
        ("vs_1-1700000000-redact", "vs_1-1700000000-redact"),
        ("vs_1-sweep472-recheck", "vs_1-sweep472-recheck"),
    ],
)
def test_all_jobs_of_an_event_or_an_occasion_are_of_one_trace(job_id: str, cause: str) -> None:
    assert cause_of(job_id) == cause
    assert trace_id_of(job_id) == trace_id_of(cause)


def test_a_shell_works_out_the_same_trace() -> None:
    command = "printf %s evt_1 | sha256sum | cut -c1-32"
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == trace_id_of("evt_1-notify")


def test_each_job_is_sent_in_a_span_of_its_own() -> None:
    ids = {send_span_id_of(id) for id in ("evt_1", "evt_2", "evt_1-notify")}
    assert len(ids) == 3
    assert {len(id) for id in ids} == {16}


@pytest.mark.parametrize("field", ["event_id", "job_id", "effect_id"])
def test_a_line_that_names_a_job_names_its_trace(field: str) -> None:
    line = with_trace_id(None, "info", {"event": "said", field: "evt_1-notify"})
    assert line["trace_id"] == trace_id_of("evt_1")


def test_a_line_keeps_the_trace_that_it_has() -> None:
    line = with_trace_id(None, "info", {"event": "said", "event_id": "evt_1", "trace_id": "other"})
    assert line["trace_id"] == "other"


def test_a_line_about_no_job_names_no_trace() -> None:
    line = {"event": "said", "event_ids": ["evt_1", "evt_2"], "job_id": None}
    assert "trace_id" not in with_trace_id(None, "info", line)
