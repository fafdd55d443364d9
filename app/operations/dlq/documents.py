"""Dead letters, and what waits, in JSON: what the commands' `--json` and the console give alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.operations.dlq.preview import Preview
from app.queue.dead_letters import DeadLetter
from app.queue.deferred import DeferredJob, DeferredSummary


def counts_as_json(total: int, by_reason: Counter[str], *, complete: bool) -> dict[str, Any]:
    """How many letters there are by reason; not `complete`: `by_reason` is of the newest alone."""
    return {"total": total, "complete": complete, "by_reason": dict(by_reason.most_common())}


def job_as_json(job: DeadLetter | DeferredJob, **more: Any) -> dict[str, Any]:
    """All that is known of a dead letter, or of what waits to be tried again."""
    return asdict(job) | more


def deferred_as_json(queue: str, summary: DeferredSummary) -> dict[str, Any]:
    """How many wait in a queue to be tried again, by the class of their error."""
    return {
        "queue": queue,
        "total": summary.count,
        "complete": summary.complete,
        "oldest_seconds": round(summary.seconds),
        "by_reason": {reason.error_class: reason.count for reason in summary.reasons},
    }


def preview_as_json(one: Preview) -> dict[str, Any]:
    """What a replay would change of one reference."""
    standings: Mapping[str, Any] = {"before": one.before, "after": one.after}
    shown = {when: found and found._asdict() for when, found in standings.items()}
    return {**asdict(one), **shown, "changes": one.changes}
