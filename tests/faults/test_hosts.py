"""Several hosts in network namespaces: each link is cut in the middle of work, and healed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.hosts import WEB_PORT, Hosts, hosts
from tests.faults.network import Network, NoNamespaces
from tests.faults.sender import Sender
from tests.faults.traffic import traffic
from tests.faults.verdict import judge
from tests.support.waiting import eventually

# A job goes to the worker that worked last: the other one's host may have none while it is cut off.
AT_WORK = "the workers at work"
# Who does not hear whom, and for how many seconds: so long that each side gives up, by its timeouts
# and limits, and not so long that TCP does, which then meets its old connection again. Redis is
# waited for by workers for 11 (one answer of 5, two tries of 3 to connect), by web for 5; a job
# takes half of its lease, 5; Stripe waits for an answer as long as DELIVERY_TIMEOUT.
LINKS = {
    (AT_WORK, "postgres"): 8.0,
    ("workers-1", "valkey"): 13.0,
    ("workers-2", "valkey", "postgres"): 8.0,  # the two stores have no link of their own
    ("web-1", "valkey"): 8.0,
    ("web-1", "web-2", "postgres"): 5.0,
    ("web-2", "stripe"): 9.0,
    ("valkey", "replica"): 5.0,
}
# What the first of them says once it has noticed; until then the link stays cut.
NOTICED: dict[tuple[str, ...], tuple[str, ...]] = {
    # A look that comes just after the cut finds it back: then the job alone has waited.
    (AT_WORK, "postgres"): ("the ledger is away", "job deferred"),
    ("workers-1", "valkey"): ("waiting for Redis",),
}
DELIVERY_TIMEOUT = 7.0
# So many that those which wait for a web that is cut off leave enough for the other.
SENDERS = 24


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Hosts]:
    """The hosts; the test is skipped where none can be made, which in CI is a failure."""
    try:
        Network("one").close()
    except NoNamespaces as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with hosts(tmp_path) as product:
        yield product


@pytest.mark.slow
def test_each_link_between_hosts_is_cut_in_the_middle_of_work_and_nothing_is_lost_or_restarted(
    product: Hosts,
) -> None:
    lives = traffic(200, seed=11)
    before = product.processes()
    sender = Sender(
        WEB_PORT,
        rate=len(lives.deliveries) / sum(LINKS.values()),
        hosts=product.web_addresses,
        senders=SENDERS,
        timeout=DELIVERY_TIMEOUT,
    )
    with sender:
        sender.give(lives.deliveries)
        for link, seconds in LINKS.items():
            cut_in_the_middle_of_work(product, sender, link, seconds)
        sender.finish(60)
        verdict = judge(product, sender, lives, seconds=60)
    assert not verdict.faults, f"{verdict.faults}\n{product.tail()}"
    assert verdict.dead == 0
    assert set(sender.acknowledged) == set(lives.events)
    eventually(lambda: product.replica_is_level, 30, "the replica follows again")
    assert product.processes() == before, product.tail()
    assert_felt(sender)


def cut_in_the_middle_of_work(
    product: Hosts, sender: Sender, link: tuple[str, ...], seconds: float
) -> None:
    reached = sender.answers[200]
    eventually(lambda: sender.answers[200] > reached, 30, "work")
    names = [eventually(product.last_to_work) if name == AT_WORK else name for name in link]
    with product.network.cut(*names):
        time.sleep(seconds)
        if lines := NOTICED.get(link):
            log = product.log_of(names[0])
            eventually(lambda: any(line in log.read_text() for line in lines), 30, lines[0])


def assert_felt(sender: Sender) -> None:
    """A cut that nobody notices would show nothing."""
    assert sender.answers[503], "web without Redis"
    assert sender.answers[0], "Stripe without web"
