"""`backfill`: what an operator sees of it."""

from __future__ import annotations

import pytest

from app.cli import backfill as module
from app.operations import backfill as operation
from tests.support.account import DAY, Account
from tests.support.cli import Run


def test_the_summary_says_how_many_were_missing(account: Account, run: Run) -> None:
    account.verified()
    account.advance(120)
    done = run("backfill")
    assert (done.code, done.out.count("\n")) == (0, 1)
    assert done.out.startswith("3 of Stripe's 3 events since ")
    assert run("backfill").out.startswith("0 of Stripe's 3 events since ")


def test_json_is_one_object_on_standard_output(account: Account, run: Run) -> None:
    account.verified()
    account.advance(120)
    done = run("backfill", "--json")
    assert (done.object["missing"], done.object["events"]) == (3, 3)
    assert done.object["reached"] == done.object["until"]


def test_since_takes_an_age_or_a_day(account: Account, run: Run) -> None:
    assert run("backfill", "--since", "2001-01-01", "--json").code == 0
    assert "30 days" in run("backfill", "--since", "2001-01-01").out
    wrong = run("backfill", "--since", "last week")
    assert (wrong.code, wrong.out) == (2, "")
    assert "3d or 2026-11-01" in wrong.err


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02", DAY), ("1970-01-02T00:00:01", DAY + 1), ("1970-01-02T02:00+02:00", DAY)],
)
def test_a_day_is_one_of_utc(text: str, seconds: int) -> None:
    assert module.Moment().convert(text, None, None) == seconds


def test_pauses_are_reported_and_the_rest_is_done(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stripe.retrying.PAUSES", (0.01, 0.01))
    account.sandbox.control("POST", "/faults", {"path": "/v1/events", "status": 429, "times": 2})
    done = run("backfill", "--json")
    assert done.code == 0
    assert done.err.count("Stripe limits our requests") == 2


def test_a_stripe_that_is_away_is_one_line(
    account: Account, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.stripe.retrying.PAUSES", (0.01,))
    account.sandbox.control("POST", "/faults", {"path": "/v1/events", "status": 500, "times": 2})
    done = run("backfill")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1] == "Stripe answered 500 APIError"


def test_without_a_key_it_says_so_and_exits_with_2(run: Run, environment: dict[str, str]) -> None:
    del environment["STRIPE_API_KEY"]
    done = run("backfill")
    assert done.code == 2
    assert done.err.splitlines()[-1] == "STRIPE_API_KEY is not set"


def test_it_waits_for_the_workers_if_the_queue_is_long(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.verified()
    account.advance(120)
    monkeypatch.setattr(operation, "CROWDED", 2)
    said: list[str] = []
    waits: list[float] = []

    class Bar:
        def update(self, *_: object) -> None:
            pass

        def report(self, line: str) -> None:
            said.append(line)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        account.work()

    found = module.follow(account.backfill(), None, Bar(), sleep)  # type: ignore[arg-type]  # as much of one as it needs
    assert (found.missing, len(waits), len(said)) == (3, 1, 1)
