"""Whether users are being verified, in one sentence: what is wrong, and what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.overview import Count, Deferred, Facts, QueueFacts
from app.domain.verdict import judge, moment_words, words_of

NOW = 1_796_007_720.0  # 2026-11-30 03:02 UTC
FINE = Facts(now=NOW, last_event=int(NOW) - 4, last_delivery=int(NOW) - 4)
WAITING = QueueFacts(queued=40, oldest=3_600)
LEDGER = "the ledger at db:5432 refuses the connection: start it"


def facts(**changes: object) -> Facts:
    """A deployment where all is well but for this."""
    return replace(FINE, **changes)  # type: ignore[arg-type]  # each test names its fields


def deferred(count: int, seconds: float, reason: str) -> QueueFacts:
    return QueueFacts(deferred=Deferred(Count(count), seconds, reason))


@pytest.mark.parametrize(
    ("found", "kind", "text"),
    [
        pytest.param(
            FINE,
            "ok",
            "Users are being verified. Last event 4 s ago; nothing waits.",
            id="all is well",
        ),
        pytest.param(
            facts(events=QueueFacts(queued=3, oldest=2)),
            "ok",
            "Users are being verified. Last event 4 s ago; 3 events wait.",
            id="events pass",
        ),
        pytest.param(
            facts(last_event=int(NOW) - 3 * 86_400),
            "ok",
            "All that Stripe has told is in the ledger. Last event 3 d ago; nothing waits.",
            id="a quiet week",
        ),
        pytest.param(
            facts(last_event=None, last_delivery=0),
            "warn",
            "No event has come from Stripe yet. Nothing waits.",
            id="never an event",
        ),
        pytest.param(
            facts(events=WAITING, lagging=Count(37)),
            "bad",
            "37 users lag behind Stripe since 02:02 UTC: the workers are behind."
            " 40 events wait, the oldest for 60 min.",
            id="the queue is old",
        ),
        pytest.param(
            facts(events=QueueFacts(queued=1, oldest=40), lagging=Count(1)),
            "warn",
            "1 user lags behind Stripe since 03:01 UTC: the workers are behind."
            " 1 event waits, the oldest for 40 s.",
            id="one is a little late",
        ),
        pytest.param(
            facts(events=deferred(9, 600, "HandlerFailed"), lagging=Count(8)),
            "bad",
            "8 users lag behind Stripe since 02:52 UTC: 9 of their events failed and are tried"
            " again (HandlerFailed).",
            id="events fail",
        ),
        pytest.param(
            facts(events=deferred(1, 5, "Busy")),
            "ok",
            "Users are being verified. Last event 4 s ago; nothing waits.",
            id="an event failed once a moment ago",
        ),
        pytest.param(
            facts(events=WAITING, lagging=Count(500, more=True), ledger_fault=LEDGER),
            "bad",
            f"at least 500 users lag behind Stripe since 02:02 UTC: the ledger is away. {LEDGER}.",
            id="the ledger is away, and events wait",
        ),
        pytest.param(
            facts(ledger_fault=LEDGER, last_event=None),
            "bad",
            f"Nobody's standing can be read or changed: the ledger is away. {LEDGER}.",
            id="the ledger is away, and nothing waits",
        ),
        pytest.param(
            facts(redis_fault="Redis at r:6379 is full", events=None, effects=None),
            "bad",
            "No delivery is taken: Redis is away. Stripe sends each again, for three days."
            " Redis at r:6379 is full.",
            id="Redis is away",
        ),
        pytest.param(
            facts(events=replace(WAITING, workers=0), lagging=Count(37)),
            "bad",
            "37 users lag behind Stripe since 02:02 UTC: no worker runs.",
            id="no worker, and events wait",
        ),
        pytest.param(
            facts(events=QueueFacts(workers=0)),
            "bad",
            "Nobody is verified while no worker runs. No event waits.",
            id="no worker, and nothing waits",
        ),
        pytest.param(
            facts(events=WAITING, paused=True),
            "bad",
            "40 events lag behind Stripe since 02:02 UTC: the workers are paused.",
            id="paused, and the events name nobody",
        ),
        pytest.param(
            facts(paused=True),
            "warn",
            "Nobody is verified while the workers are paused. No event waits.",
            id="paused, and nothing waits",
        ),
        pytest.param(
            facts(receivers=(("callback", "gone"), ("stream", "told"))),
            "bad",
            "Users are verified, but your callback is told nothing: it answered 410.",
            id="a receiver is gone",
        ),
        pytest.param(
            facts(receivers=(("callback", "rests"),), effects=deferred(7, 90, "ReceiverFailed")),
            "warn",
            "Users are verified, but your system is told late. Callback was slow to fail, and is"
            " left alone for a while; 7 effects failed and are tried again (ReceiverFailed).",
            id="a receiver fails",
        ),
        pytest.param(
            facts(receivers=(("callback", "told"),), effects=QueueFacts(queued=9, oldest=400)),
            "bad",
            "Users are verified, but your system is told late. 9 wait, the oldest for 6 min.",
            id="notifications wait",
        ),
        pytest.param(
            facts(effects=QueueFacts(queued=9, oldest=40)),
            "warn",
            "Users are verified, but what follows from it is late. 9 wait, the oldest for 40 s.",
            id="other effects wait",
        ),
        pytest.param(
            facts(events=QueueFacts(overdue=130)),
            "bad",
            "Users are verified, but no clock has moved what is due for 2 min."
            " Start `python -m workers`.",
            id="no clock",
        ),
        pytest.param(
            facts(stripe_rests=True),
            "warn",
            "Users are verified, but Stripe does not answer our questions.",
            id="Stripe cannot be reached",
        ),
        pytest.param(
            facts(events=QueueFacts(dead=14), effects=QueueFacts(dead=1)),
            "warn",
            "Users are being verified, but 15 dead letters wait for a person."
            " Last event 4 s ago; nothing waits.",
            id="dead letters",
        ),
        pytest.param(
            facts(effects=QueueFacts(dead=1), last_event=None),
            "warn",
            "Users are being verified, but a dead letter waits for a person. Nothing waits.",
            id="one dead letter",
        ),
    ],
)
def test_the_verdict(found: Facts, kind: str, text: str) -> None:
    verdict = judge(found)
    assert (verdict.kind, str(verdict)) == (kind, text)


def test_what_explains_most_is_told_first() -> None:
    found = facts(
        redis_fault="Redis is away",
        ledger_fault=LEDGER,
        stripe_rests=True,
        events=None,
        effects=None,
    )
    assert "Redis" in judge(found).sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7_199, "119 min"),
        (7_200, "2 h"),
        (1e6, "11 d"),
    ],
)
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    assert words_of(seconds) == words


def test_a_moment_of_another_day_is_told_with_its_day() -> None:
    assert moment_words(NOW - 60, NOW) == "03:01 UTC"
    assert moment_words(NOW - 86_400, NOW) == "03:02 UTC yesterday"
    assert moment_words(NOW - 5 * 86_400, NOW) == "03:02 UTC 5 days ago"


def test_a_count_that_is_not_complete_says_so() -> None:
    assert (str(Count(1_234)), str(Count(1_000, more=True))) == ("1,234", "at least 1,000")
