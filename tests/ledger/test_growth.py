"""What the clock, the metrics and a user's standing cost in a ledger of a million sessions."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text

from app.ledger.audit import Audit
from app.ledger.counts import count_standings
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.retention import prune
from app.ledger.stats import read_stats
from tests.ledger.big import ID, NOW, analyze, fill

SIZE = int(os.environ.get("LEDGER_SIZE", "1000000"))
# Milliseconds; the best of some, as the machine does other things too.
MOST = 50
TIMES = 5
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def years(years_url: str) -> Iterator[Engine]:
    """A ledger of 10⁶ sessions and users, and 3·10⁶ events, lines and effects."""
    filling = open_engine(years_url)
    fill(filling, SIZE)
    analyze(filling)
    filling.dispose()
    engine = open_engine(years_url)
    yield engine
    engine.dispose()


def milliseconds(work: Callable[[], object]) -> float:
    """The least of some runs, after one that warms up."""
    found = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        work()
        found.append((time.perf_counter() - began) * 1000)
    return round(min(found[1:]), 2)


def join(engine: Engine) -> None:
    """The one of docs/reference/ledger.md, for one user."""
    with engine.connect() as connection:
        connection.execute(
            text(
                "SELECT coalesce(standing.status, 'none') FROM (SELECT :user AS id) AS users "
                "LEFT JOIN reference_standings AS standing "
                "ON standing.client_reference_id = users.id AND standing.account = '' "
                "AND standing.purpose = '' AND standing.livemode"
            ),
            {"user": "user_c4ca4238a0b923820dcc509a6f75849b"},
        ).all()


def test_nothing_that_is_asked_all_the_time_grows_with_the_ledger(
    years: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ID.startswith("md5"), "the user of `join` is named by a digest"
    ledger = Ledger(years)
    took = {
        "ping": milliseconds(ledger.ping),
        "what is due for the sweep": milliseconds(
            lambda: ledger.polling.sessions_to_check(True, NOW, 20)
        ),
        "overdue redactions": milliseconds(lambda: ledger.polling.overdue_redactions(NOW)),
        "accounts": milliseconds(lambda: ledger.polling.accounts(True)),
        "effects that no queue holds": milliseconds(
            lambda: ledger.effects_due_unsent(NOW, 500, overdue=NOW)
        ),
        "the ledger's metrics": milliseconds(lambda: read_stats(years, NOW)),
        "a user by the documented join": milliseconds(lambda: join(years)),
        "orphans": milliseconds(lambda: ledger.orphans.list(True, 50)),
        "the audit": milliseconds(lambda: Audit(years).page(None, 50)),
        "the audit of one person": milliseconds(lambda: Audit(years).page(None, 50, "anna")),
    }
    parts = {
        "5,000 lines counted": milliseconds(lambda: count_standings(years, NOW)),
        "2,000 rows pruned": milliseconds(lambda: prune(years, NOW)),
    }
    with capsys.disabled():
        print(years.dialect.name, took | parts)  # noqa: T201 - a measurement is there to be read
    assert {what: n for what, n in took.items() if n > MOST} == {}
