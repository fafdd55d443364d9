"""Ten failovers in a row under load: three sentinels, whose primary is killed each time."""

from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import free_port
from tests.faults.processes import end, start
from tests.faults.sender import REFUSED_FOR, SECRET, Sender
from tests.faults.traffic import openings
from tests.support.replication import replicate
from tests.support.sentinels import Watched, watched
from tests.support.waiting import eventually

FAILOVERS = 10
EVENTS_A_ROUND = 150


def replace_primary(servers: Watched) -> None:
    """Kill the primary, wait for the next one, and bring the dead one back as its replica."""
    dead = servers.primary()
    assert dead is not None
    dead.kill()
    eventually(lambda: servers.primary() not in (None, dead), 120, "a failover")
    alive = servers.primary()
    assert alive is not None
    dead.start()
    replicate(alive, dead)


def in_ledger(ledger: Ledger, ids: set[str]) -> set[str]:
    """Which of these events are applied."""
    return set(ledger.has_events(sorted(ids)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_failovers_lose_nothing_and_no_process_is_restarted(
    tmp_path: Path, database_url: str
) -> None:
    events = iter(openings(FAILOVERS * EVENTS_A_ROUND).deliveries)
    port, log = free_port(), tmp_path / "product.log"
    with ExitStack() as stack:
        servers = stack.enter_context(watched(tmp_path / "servers", servers=3, sentinels=3))
        environment = {
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "REDIS_URL": servers.url,
            "DURABILITY": "replica",
            "DATABASE_URL": database_url,
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "LEASE_SECONDS": "4",
        }
        product = [start(module, log, environment) for module in ("app.web", "workers")]
        for process in product:
            stack.callback(end, process)
        sender = stack.enter_context(Sender(port, rate=100))
        for _ in range(FAILOVERS):
            eventually(servers.ready, 120, "replicas to promote")
            sender.give(islice(events, EVENTS_A_ROUND))
            eventually(lambda: sender.answers[200] > 0, 60, "load")
            replace_primary(servers)
        sender.finish(180)
        engine = open_engine(database_url)
        stack.callback(engine.dispose)
        ledger = Ledger(engine)
        acknowledged = set(sender.acknowledged)
        eventually(lambda: in_ledger(ledger, acknowledged) == acknowledged, 120, "all is applied")
        assert [process.poll() for process in product] == [None, None]
    assert len(acknowledged) == FAILOVERS * EVENTS_A_ROUND
    assert sender.longest_refusal < REFUSED_FOR
    assert not re.search(r"child died|child hangs|Traceback", log.read_text())
