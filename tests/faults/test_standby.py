"""The database's host dies under load, and its hot standby takes over."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.ledger.engine import LedgerUnavailable, open_engine, translates_errors
from app.ledger.ledger import Ledger
from tests.faults.rig import Rig
from tests.faults.sender import Sender
from tests.faults.traffic import traffic
from tests.faults.verdict import judge
from tests.ledger.asking import fault_at
from tests.support.ledger import count_events
from tests.support.proxy import proxy_to
from tests.support.standby import Pair, hot_standby
from tests.support.stores import migrate_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

FAST_CLOCK = "tests.faults.fast_clock"
# Seconds between the death of the primary and the promotion, as an agent needs to be sure of it.
NOTICED_AFTER = 3.0
# Seconds after the promotion within which events are applied again: a worker looks every five.
BACK_WITHIN = 15.0


@pytest.fixture(scope="module")
def asynchronous() -> Iterator[Pair]:
    """A pair of which the primary does not wait for the standby."""
    with hot_standby(synchronous=False) as pair:
        migrate_database(pair.url())
        pair.await_step()
        yield pair


@translates_errors  # which replaces a connection that the test has cut
def applied(engine: Engine) -> int:
    """How many events are."""
    return count_events(engine)


def test_a_standby_is_no_ledger_and_is_left_when_its_name_leads_to_a_primary(
    asynchronous: Pair,
) -> None:
    with proxy_to(asynchronous.standby.port) as name:
        engine = open_engine(f"postgresql://postgres@127.0.0.1:{name.port}/postgres")
        ledger = Ledger(engine)
        with pytest.raises(LedgerUnavailable, match=r"is read-only: a standby, or set so \(25006"):
            ledger.check_writable()
        name.target = asynchronous.primary.port
        ledger.check_writable()
        engine.dispose()


def test_several_hosts_of_which_none_is_a_primary_are_told(asynchronous: Pair) -> None:
    port = asynchronous.standby.port
    for away in (port, 1):  # another standby; nothing at all
        hosts = f"127.0.0.1:{away},127.0.0.1:{port}"
        fault = fault_at(f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write")
        assert str(fault) == (
            f"PostgreSQL at {hosts} has no server that takes writes: all that answer are standbys:"
            " see to the primary, or promote a standby; it is tried again"
        )
        assert (fault.code, type(fault)) == ("no_primary", LedgerUnavailable)


@pytest.mark.timeout(300)
def test_a_promoted_standby_has_all_and_no_process_is_restarted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = traffic(100, seed=17)
    with hot_standby(synchronous=True) as pair:
        migrate_database(pair.url())
        with (
            Rig(tmp_path, pair.url(), workers=FAST_CLOCK) as rig,
            Sender(rig.port, rate=120) as sender,
        ):
            rig.start()
            rig.await_workers()
            before = rig.processes()
            sender.give(lives.deliveries)
            eventually(lambda: applied(rig.engine) > 100, 30)
            pair.kill()
            killed = time.monotonic()
            time.sleep(NOTICED_AFTER)
            pair.promote()
            promoted, had = time.monotonic(), applied(rig.engine)
            eventually(lambda: applied(rig.engine) > had, BACK_WITHIN, "applied again")
            back = time.monotonic()
            sender.finish(60)
            verdict = judge(rig, sender, lives)
            assert not verdict.faults, f"{verdict.faults}\n{rig.tail()}"
            assert verdict.dead == 0
            assert set(sender.acknowledged) == set(lives.events)
            assert set(sender.answers) == {200}  # the webhook needs no SQL
            assert rig.processes() == before
            assert "no server that takes writes" in (tmp_path / "workers.log").read_text()
    with capsys.disabled():
        told = f"nothing was applied for {back - killed:.1f} s, {back - promoted:.1f} s of them"
        print(f"\n{told} after the promotion")  # noqa: T201 - to be read
