"""Whether jobs are done: workers, the clock, what waits and what has died."""

from __future__ import annotations

from app.operations.checks.finding import Finding
from app.operations.checks.patient import Patient
from app.queue.backlog import Backlog, read_backlog
from app.queue.model import EFFECTS, EVENTS

# Seconds. A worker comes to a job in well under one; retries are not queued but scheduled.
WAITS_LONG = 300
# The clock moves what is due every few seconds.
CLOCK_LATE = 60
START = "Start `python -m workers` with this REDIS_URL, and look at its log."


def check_workers(patient: Patient) -> Finding:
    """Whether workers of both queues live."""
    backlogs = _backlogs(patient)
    without = [name for name, backlog in backlogs.items() if not backlog.workers]
    if without:
        return Finding("workers", "wrong", f"none runs for {' and '.join(without)}", START)
    told = ", ".join(f"{backlog.workers} for {name}" for name, backlog in backlogs.items())
    if any(backlog.suspended for backlog in backlogs.values()):
        return Finding("workers", "warning", f"{told}, all told to rest", "Run `rq resume`.")
    return Finding("workers", "ok", told)


def check_clock_process(patient: Patient) -> Finding:
    """Whether something takes up what is due and what dead workers held."""
    late = max(backlog.overdue for backlog in _backlogs(patient).values())
    if late > CLOCK_LATE:
        return Finding(
            "clock process",
            "wrong",
            f"a job that is due or was lost by its worker has not been moved for {_span(late)}",
            START,
        )
    return Finding("clock process", "ok", "nothing is left behind")


def check_queue(patient: Patient) -> Finding:
    """Whether jobs wait for longer than they should."""
    backlogs = _backlogs(patient)
    slow = [name for name, backlog in backlogs.items() if backlog.oldest > WAITS_LONG]
    if slow:
        told = "; ".join(
            f"{backlogs[name].counts['queued']} {name} wait, one for {_span(backlogs[name].oldest)}"
            for name in slow
        )
        return Finding("queue", "wrong", told, f"More EVENT_WORKERS, if workers run. {START}")
    told = ", ".join(
        f"{backlog.counts['queued']} {name} queued and {backlog.counts['scheduled']} to be tried"
        " later"
        for name, backlog in backlogs.items()
    )
    return Finding("queue", "ok", told)


def check_dead_letters(patient: Patient) -> Finding:
    """Whether something failed for good."""
    dead = {name: backlog.counts["failed"] for name, backlog in _backlogs(patient).items()}
    if not any(dead.values()):
        return Finding("dead letters", "ok", "none")
    told = " and ".join(f"{count} of {name}" for name, count in dead.items() if count)
    option = "" if dead[EVENTS.name] else f" --queue {EFFECTS.name}"
    return Finding(
        "dead letters",
        "warning",
        told,
        f"Run `dlq list{option}`, mend what broke, then `dlq replay{option}`.",
    )


def _backlogs(patient: Patient) -> dict[str, Backlog]:
    patient.asks("REDIS_URL")
    return {queue.name: read_backlog(patient.redis, queue) for queue in (EVENTS, EFFECTS)}


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
