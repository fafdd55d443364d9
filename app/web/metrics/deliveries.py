"""What the web processes were sent, and took or did not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.metrics_core import Metric

from app.configuration.credentials import SigningSecret
from app.domain.modes import mode_name
from app.queue.counts import DELIVERY_OUTCOMES, read_counts
from app.queue.model import EVENTS
from app.queue.secret_use import fingerprint, read_secret_use
from app.stores import Stores
from app.web.ignored import read_ignored
from app.web.metrics.subject import Subject, counter, gauge
from app.web.refusals import read_refusals
from app.web.webhooks import REFUSALS

# Why a request may be refused: calls by their token, deliveries by what they are.
REASONS = ("token", "scope", *(why for _, why in REFUSALS))


class Sent(NamedTuple):
    """What was counted, over all web processes."""

    taken: Mapping[str, int]  # by outcome
    ignored: Mapping[str, int]  # by type
    refused: Mapping[str, int]  # by reason
    secrets: Mapping[SigningSecret, int]  # when each was last used, in Unix seconds


def subject(stores: Stores) -> Subject[Sent]:
    """Deliveries by their outcome, what was ignored and refused, and by which secret they came."""

    def read() -> Sent:
        return Sent(
            taken=read_counts(stores.redis, [EVENTS])[EVENTS.name].of("delivery"),
            ignored=read_ignored(stores.redis),
            refused=read_refusals(stores.redis),
            secrets=read_secret_use(stores.redis, stores.settings.webhook_secrets),
        )

    return Subject("redis", read, families)


def families(sent: Sent) -> Iterator[Metric]:
    """What Prometheus is told of it."""
    yield counter(
        "identity_deliveries",
        "Stripe's deliveries of events of ours, by what became of them: enqueued, duplicate, "
        "replayed (a dead letter put back), refused (by Redis: the log says why).",
        ("outcome",),
        dict.fromkeys(DELIVERY_OUTCOMES, 0) | dict(sent.taken),
    )
    yield counter(
        "identity_events_ignored",
        "Events of Stripe Identity's of a type that is not known here.",
        ("type",),
        dict(sorted(sent.ignored.items())),
    )
    yield counter(
        "identity_requests_refused",
        "Calls without a token (token) or one that allows them (scope); deliveries that were not "
        "signed (unsigned), by no secret of ours (signature) or at another time (clock), whose "
        "event is of another mode (mode) or of no form of Stripe's (unreadable), too_large.",
        ("why",),
        dict.fromkeys(REASONS, 0) | dict(sent.refused),
    )
    yield gauge(
        "identity_signing_secret_last_used_timestamp_seconds",
        "When a delivery signed with this secret of STRIPE_WEBHOOK_SECRET last came, to some "
        "seconds; 0: never. `secret` is its place in the list, `fingerprint` goes with it.",
        ("secret", "fingerprint", "mode"),
        {
            (f"#{place}", fingerprint(signing), _mode(signing)): at
            for place, (signing, at) in enumerate(sent.secrets.items(), start=1)
        },
    )


def _mode(signing: SigningSecret) -> str:
    return "any" if signing.livemode is None else mode_name(signing.livemode)
