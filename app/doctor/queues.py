"""Whether jobs are processed: workers, the clock, the queues and the dead letters."""

from __future__ import annotations

from app.doctor.deployment import Deployment
from app.doctor.result import Finding, in_minutes_or_hours
from app.domain.durations import MINUTE
from app.queue.backlog import Backlog, other_queues, read_backlog
from app.queue.model import EFFECTS, EVENTS
from app.queue.pausing import describe_pause

# A worker takes a queued job in well under a second; retries are not queued but scheduled.
MAX_WAIT = 5 * MINUTE
# Other applications' queues that are named.
MAX_SHOWN = 5
# The clock moves what is due every few seconds.
MAX_CLOCK_DELAY = MINUTE
START = "Start `python -m workers` with this REDIS_URL, and look at its log."
RESUME = "The workers are paused: run `queue resume` when its reason is over."


def check_workers(deployment: Deployment) -> Finding:
    """Whether both queues have workers."""
    backlogs = _backlogs(deployment)
    without = [name for name, backlog in backlogs.items() if not backlog.workers]
    if without:
        return Finding("workers", "wrong", f"none runs for {' and '.join(without)}", START)
    message = ", ".join(f"{backlog.workers} for {name}" for name, backlog in backlogs.items())
    for pause in (backlog.pause for backlog in backlogs.values()):
        if pause is not None:
            told = f"{message}, all {describe_pause(pause)}"
            return Finding("workers", "warning", told, RESUME)
    return Finding("workers", "ok", message)


def check_clock_process(deployment: Deployment) -> Finding:
    """Whether the clock queues jobs that are due, and those of dead workers."""
    late = max(backlog.overdue for backlog in _backlogs(deployment).values())
    if late > MAX_CLOCK_DELAY:
        return Finding(
            "clock process",
            "wrong",
            "a job that is due or was lost by its worker has not been moved for "
            + in_minutes_or_hours(late),
            START,
        )
    return Finding("clock process", "ok", "nothing is left behind")


def check_queue(deployment: Deployment) -> Finding:
    """Whether jobs wait longer than they should."""
    backlogs = _backlogs(deployment)
    slow = [name for name, backlog in backlogs.items() if backlog.oldest > MAX_WAIT]
    if slow:
        message = "; ".join(
            f"{backlogs[name].counts['queued']} {name} wait, one for "
            + in_minutes_or_hours(backlogs[name].oldest)
            for name in slow
        )
        paused = any(backlog.suspended for backlog in backlogs.values())
        hint = RESUME if paused else f"More EVENT_WORKERS, if workers run. {START}"
        return Finding("queue", "wrong", message, hint)
    message = ", ".join(
        f"{backlog.counts['queued']} {name} queued and {backlog.counts['scheduled']} scheduled"
        for name, backlog in backlogs.items()
    )
    return Finding("queue", "ok", message)


def check_dead_letters(deployment: Deployment) -> Finding:
    """Whether any job failed for good."""
    dead = {name: backlog.counts["failed"] for name, backlog in _backlogs(deployment).items()}
    if not any(dead.values()):
        return Finding("dead letters", "ok", "none")
    message = " and ".join(f"{count} of {name}" for name, count in dead.items() if count)
    option = "" if dead[EVENTS.name] else f" --queue {EFFECTS.name}"
    return Finding(
        "dead letters",
        "warning",
        message,
        f"Run `dlq list{option}`, fix the cause, then `dlq replay{option}`.",
    )


def check_other_applications(deployment: Deployment) -> Finding:
    """Which other RQ applications use this database. They cannot take our jobs, nor we theirs."""
    name = "other RQ applications"
    deployment.require("REDIS_URL")
    queues = other_queues(deployment.stores.redis)
    if not queues:
        return Finding(name, "ok", "none in this Redis database")
    shown = ", ".join(shown_name(queue) for queue in queues[:MAX_SHOWN])
    more = f" and {len(queues) - MAX_SHOWN} more" if len(queues) > MAX_SHOWN else ""
    return Finding(
        name,
        "ok",
        f"queues {shown}{more} in this Redis database; they share its memory, and a pause of ours"
        " is theirs",
    )


def shown_name(queue: str) -> str:
    """Another application's word: cut, and without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in queue[:40])


def _backlogs(deployment: Deployment) -> dict[str, Backlog]:
    deployment.require("REDIS_URL")
    redis = deployment.stores.redis
    return {spec.name: read_backlog(redis, spec) for spec in (EVENTS, EFFECTS)}
