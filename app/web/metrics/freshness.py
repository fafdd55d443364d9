"""What keeps the ledger in step with Stripe, and receivers in step with the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from app.domain.durations import MINUTE
from app.domain.modes import mode_name
from app.ledger import schema
from app.operations.backfill import last_success
from app.operations.notify import CALLBACK, RECEIVER_PREFIX, is_gone
from app.stores import Stores
from app.web.metrics.subject import Subject, gauge

# Seconds after its time that a session counts as one that nobody asks about: the sweep runs every
# minute, and asks again about one that Stripe gave no answer for a quarter of an hour later.
GRACE = 20 * MINUTE


class Freshness(NamedTuple):
    """What is known of it. None: there is nothing to know, as the setting for it is missing."""

    backfilled: int | None  # when a backfill last came to its end, in Unix seconds; 0: never
    overdue: dict[str, int] | None  # sessions to be asked about, by kind
    gone: bool | None  # whether the address of the callback has answered 410
    livemode: bool  # of the key


def schema_subject(stores: Stores) -> Subject[int]:
    """Whether the database has this release's tables; told even if nothing else can be read."""

    def families(pending: int) -> Iterator[Metric]:
        yield gauge(
            "identity_migrations_pending",
            "Migrations that the database lacks: run `migrate`.",
            (),
            {(): pending},
        )

    return Subject("ledger", lambda: schema.pending(stores.engine), families)


def subject(stores: Stores, now: Callable[[], float]) -> Subject[Freshness]:
    """How long ago Stripe was asked, and whether the callback may be sent; `now`: Unix seconds."""

    def read() -> Freshness:
        settings, asks = stores.settings, stores.stripe is not None
        before = int(now()) - GRACE
        return Freshness(
            backfilled=(last_success(stores) or 0) if asks else None,
            overdue=stores.ledger.polling.overdue(settings.livemode, before) if asks else None,
            gone=is_gone(settings, stores.ledger),
            livemode=settings.livemode,
        )

    return Subject("ledger", read, families)


def families(known: Freshness) -> Iterator[Metric]:
    """What Prometheus is told of it."""
    mode = mode_name(known.livemode)
    if known.backfilled is not None:
        yield gauge(
            "identity_backfill_last_success_timestamp_seconds",
            "When the clock's backfill last came to its end; 0: never. Only with STRIPE_API_KEY.",
            ("mode",),
            {mode: known.backfilled},
        )
    if known.overdue is not None:
        yield gauge(
            "identity_sessions_to_ask_overdue",
            "Sessions that Stripe should have been asked about 20 minutes ago, by kind, up to "
            "1,000 of each. Only with STRIPE_API_KEY.",
            ("kind", "mode"),
            {(kind, mode): count for kind, count in known.overdue.items()},
        )
    if known.gone is not None:
        yield gauge(
            "identity_receiver_gone",
            "1: the receiver has answered 410, and nothing is sent until `notify test` succeeds.",
            ("receiver",),
            {CALLBACK.removeprefix(RECEIVER_PREFIX): known.gone},
        )
