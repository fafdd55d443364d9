"""What the ledger holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client.metrics_core import Metric

from app.domain.modes import mode_name
from app.ledger.stats import LedgerStats, read_stats
from app.stores import Stores
from app.web.metrics.subject import Subject, counter, gauge


def answering(stores: Stores) -> Subject[None]:
    """Whether the ledger answers, whatever becomes of its numbers."""
    return Subject("ledger", stores.ledger.ping, lambda _: (), shows_up=True)


def subject(stores: Stores, now: Callable[[], float]) -> Subject[LedgerStats]:
    """What is counted in the ledger; `now` gives Unix seconds."""
    return Subject(
        "ledger", lambda: read_stats(stores.engine, int(now())), partial(families, now=now)
    )


def families(stats: LedgerStats, now: Callable[[], float]) -> Iterator[Metric]:
    """What Prometheus is told of it."""
    yield counter(
        "identity_events_missed_by_webhook",
        "Events that no delivery brought and a backfill found at Stripe.",
        (),
        {(): stats.events_missed_by_webhook},
    )
    if stats.last_event is not None:
        yield gauge(
            "identity_last_event_age_seconds",
            "Since Stripe created the newest event in the ledger.",
            (),
            {(): max(0, int(now()) - stats.last_event)},
        )
    yield gauge(
        "identity_redactions_overdue",
        "Sessions whose redaction Stripe has not finished in its four days, up to 1,000.",
        (),
        {(): stats.redactions_overdue},
    )
    yield gauge(
        "identity_standings",
        "References by status, some minutes ago.",
        ("status", "mode"),
        {
            (status, mode_name(livemode)): count
            for (status, livemode), count in sorted(stats.standings.items())
        },
    )
    yield gauge(
        "identity_orphans",
        "Sessions that name no reference, up to 1,000.",
        ("mode",),
        {mode_name(livemode): count for livemode, count in stats.orphans.items()},
    )
    yield gauge(
        "identity_effects",
        "Effects still to be run, or failed, up to 1,000.",
        ("status",),
        stats.effects,
    )
