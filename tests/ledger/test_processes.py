"""Several processes write at once, and the ledger is as if they had taken turns."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.registers import Since
from app.domain.session import Observation
from app.ledger import migrate
from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.rows import ReferenceRecord
from app.ledger.schema import revisions
from tests.ledger.conftest import Scribe
from tests.ledger.writer import Writers, waiting_writers
from tests.support.ledger import NOW, POLICY, count_events, life, named_in_metadata, observation

PROCESSES = 4
# One after the other: each of them keeps all cores busy.


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    """Processes that wait for something to write."""
    with waiting_writers(PROCESSES) as writers:
        yield writers


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with one writer, to compare with."""
    engine = open_engine(f"sqlite:///{tmp_path / 'alone.db'}")
    migrate.upgrade(engine)
    yield Ledger(engine)
    engine.dispose()


def known(ledger: Ledger, reference: str) -> ReferenceRecord:
    record = ledger.read_reference(reference, livemode=False)
    assert record is not None
    return record


def is_one_story(record: ReferenceRecord) -> bool:
    """Whether each line of the timeline follows from the one before, up to the standing."""
    versions = [line.version for line in record.timeline]
    statuses = [None, *(line.status for line in record.timeline)]
    return (
        versions == list(range(NOW, record.standing.version + 1))
        and [line.previous_status for line in record.timeline] == statuses[:-1]
        and statuses[-1] == record.standing.status
    )


def test_writers_of_the_same_events_lose_nothing_and_apply_nothing_twice(
    scribe: Scribe, url: str, alone: Ledger, writers: Writers
) -> None:
    ends = ("canceled", "verified", "canceled", "verified", "processing", "canceled")
    lives = [life(f"vs_{n}", 100 + 1_000 * n, end) for n, end in enumerate(ends)]
    seen = [one for events in lives for one in events]
    shuffle = random.Random(5).sample
    written = writers.write(url, [shuffle(seen, len(seen)) for _ in range(PROCESSES)])

    outcomes = Counter(outcome for one in written for outcome in one.outcomes)
    assert outcomes == {"applied": len(seen), "duplicate": len(seen) * (PROCESSES - 1)}
    assert count_events(scribe.engine) == len(seen)
    for one in seen:
        alone.apply([one], policy=POLICY, now=NOW)
    record, expected = known(scribe.ledger, "user_1"), known(alone, "user_1")
    assert record.sessions == expected.sessions
    assert record.standing._replace(version=0) == expected.standing._replace(version=0)
    assert record.standing.attempts == len(lives)
    assert is_one_story(record)
    given = Counter(effect for one in written for effect in one.effects)
    assert given == Counter(str(row[0]) for row in scribe.query("SELECT id FROM effects"))


def test_writers_who_open_the_same_session_at_once_merge(
    scribe: Scribe, url: str, writers: Writers
) -> None:
    sessions = [f"vs_{number}" for number in range(25)]
    tasks: list[list[Observation]] = [
        [observation(status, at, session=name, reference=f"user_{name}") for name in sessions]
        for at, status in enumerate(("requires_input", "processing", "verified"), start=100)
    ]
    writers.write(url, tasks)
    for name in sessions:
        record = known(scribe.ledger, f"user_{name}")
        assert record.standing.status == "verified"
        assert dict(record.sessions[0].since) == {
            "requires_input": Since(True, 100),
            "processing": Since(True, 101),
            "verified": Since(True, 102),
        }
        assert is_one_story(record)


def test_writers_who_move_sessions_both_ways_do_not_deadlock(
    scribe: Scribe, url: str, writers: Writers
) -> None:
    names = [f"vs_{number}" for number in range(20)]
    for name in names:
        scribe.apply(named_in_metadata("processing", 100, "user_a", session=f"{name}_from_a"))
        scribe.apply(named_in_metadata("processing", 100, "user_b", session=f"{name}_from_b"))
    moves = (("user_b", "from_a"), ("user_a", "from_b"))
    tasks = [
        [named_in_metadata("verified", at, target, session=f"{name}_{origin}") for name in names]
        for at, (target, origin) in enumerate(moves * 2, start=110)
    ]
    writers.write(url, tasks)
    for reference, origin in (("user_a", "from_b"), ("user_b", "from_a")):
        record = known(scribe.ledger, reference)
        assert {session.id for session in record.sessions} == {f"{n}_{origin}" for n in names}
        assert record.standing.status == "verified"
        assert is_one_story(record)


def test_processes_that_upgrade_at_once_run_each_migration_once(
    empty_url: str, writers: Writers
) -> None:
    written = writers.write(empty_url, [[]] * PROCESSES, migrates=True)
    assert sorted(one.migrated for one in written) == [[]] * (PROCESSES - 1) + [revisions()]
