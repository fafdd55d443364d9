"""The stages from Stripe to the team's system: the word, the kind and the age of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.overview import Count, Deferred, Facts, QueueFacts
from app.domain.strip import Stage, describe, stages

NOW = 1_796_007_720.0
FINE = Facts(
    now=NOW,
    last_event=int(NOW) - 4,
    last_delivery=int(NOW) - 3,
    receivers=(("callback", "told"),),
)
FAILING = QueueFacts(deferred=Deferred(Count(7), 40, "Busy"))


def stage(name: str, **changes: object) -> Stage:
    """One stage, where all is well but for this."""
    found = stages(replace(FINE, **changes))  # type: ignore[arg-type]  # each test names its fields
    return next(one for one in found if one.name == name)


def test_they_stand_in_the_order_in_which_an_event_passes_them() -> None:
    names = [one.name for one in stages(FINE)]
    assert names == ["Stripe", "web", "queue", "workers", "ledger", "your system"]


def test_all_are_well() -> None:
    assert {one.kind for one in stages(FINE)} == {"ok"}


@pytest.mark.parametrize(
    ("found", "line", "kind"),
    [
        (stage("Stripe"), "sends events (last event 4 s ago)", "ok"),
        (stage("Stripe", last_event=None), "no event yet", "off"),
        (stage("Stripe", stripe_rests=True), "does not answer", "bad"),
        (stage("Stripe", ledger_fault="away", last_event=None), "not known", "off"),
        (stage("web"), "takes deliveries (last delivery 3 s ago)", "ok"),
        (stage("web", last_delivery=0), "no delivery yet", "off"),
        (stage("web", last_delivery=None), "not known", "off"),
        (stage("web", redis_fault="full"), "takes nothing", "bad"),
        (stage("queue"), "empty", "ok"),
        (stage("queue", redis_fault="full", events=None), "away", "bad"),
        (stage("queue", events=QueueFacts(queued=2, oldest=3)), "2 wait (oldest 3 s)", "ok"),
        (
            stage("queue", events=QueueFacts(queued=2_000, oldest=40)),
            "2,000 are late (oldest 40 s)",
            "warn",
        ),
        (
            stage("queue", events=QueueFacts(queued=2, oldest=400)),
            "2 are late (oldest 6 min)",
            "bad",
        ),
        (stage("queue", events=FAILING), "7 failed, tried again (oldest 40 s)", "warn"),
        (stage("workers"), "2 run", "ok"),
        (stage("workers", paused=True), "paused", "warn"),
        (stage("workers", effects=QueueFacts(workers=0)), "none for effects", "bad"),
        (
            stage("workers", events=QueueFacts(overdue=90)),
            "no clock runs (longest due 90 s)",
            "bad",
        ),
        (stage("workers", events=None), "not known", "off"),
        (stage("ledger"), "answers", "ok"),
        (stage("ledger", ledger_fault="away"), "away", "bad"),
        (stage("your system"), "told", "ok"),
        (stage("your system", receivers=()), "nobody is told", "off"),
        (stage("your system", receivers=(("callback", "gone"),)), "answered 410", "bad"),
        (stage("your system", receivers=(("callback", "rests"),)), "slow to fail", "bad"),
        (
            stage("your system", effects=FAILING),
            "7 failed, tried again (oldest 40 s)",
            "warn",
        ),
        (
            stage("your system", effects=QueueFacts(queued=1, oldest=31)),
            "told late (oldest 31 s)",
            "warn",
        ),
        (stage("your system", effects=None), "not known", "off"),
    ],
)
def test_the_state_of_a_stage(found: Stage, line: str, kind: str) -> None:
    assert (describe(found), found.kind) == (line, kind)
