"""How much disk a user takes: what docs/how-to/scale.md says, measured on both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from app.domain.change import Policy
from app.domain.event import SessionEvent
from app.domain.session import Observation
from app.ledger.ledger import Ledger
from tests.docs.pages import DOCS, section
from tests.support.events import OPENED, event_body

pytestmark = pytest.mark.slow
USERS = 4_000
BATCH = 100
# What becomes of a session: name, status and error of each event. Every fifth fails once.
AT_ONCE = (
    ("created", "requires_input", None),
    ("processing", "processing", None),
    ("verified", "verified", None),
)
SECOND_TRY = (
    *AT_ONCE[:2],
    ("requires_input", "requires_input", "document_expired"),
    *AT_ONCE[1:],
)
# Rows of the page's table, and the tables of the ledger that each is about.
KEPT = {
    "a user": ("sessions", "attempts", "standings", "timeline", "notifications"),
    "an event": ("events",),
    "an effect": ("effects",),
}
# The page rounds, and databases differ a little from version to version.
WITHIN = 0.25


def events_of(user: int) -> Iterator[Observation]:
    """One user's only session. Ids have the length of Stripe's."""
    for number, (name, status, error) in enumerate(SECOND_TRY if user % 5 == 0 else AT_ONCE):
        body = event_body(
            name,
            status,
            id=f"evt_{user:022}{number:02}",
            at=OPENED + user * 60 + number * 20,
            session=f"vs_{user:024}",
            reference=f"user_{user:08}",
            error=error,
            report=f"vr_{user:022}{number:02}" if error or status == "verified" else None,
        )
        event = SessionEvent.parse(body)
        assert isinstance(event, SessionEvent)
        yield event.observation()


def fill(ledger: Ledger) -> int:
    """Apply all users' events as workers do; how many there were."""
    observations = [one for user in range(USERS) for one in events_of(user)]
    for first in range(0, len(observations), BATCH):
        batch = observations[first : first + BATCH]
        ledger.apply(batch, policy=Policy(notify=True), now=batch[-1].as_of)
    return len(observations)


def notify_all(engine: Engine) -> None:
    """One receiver has been told of every user."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO notifications "
                "SELECT key, 'notify_callback', version, status, updated_at FROM standings"
            )
        )


def sizes(engine: Engine) -> Mapping[str, int]:
    """Bytes of each row of the page, indexes included."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            return {
                name: sum(
                    connection.scalar(text(f"SELECT pg_total_relation_size('{table}')"))
                    for table in tables
                )
                for name, tables in KEPT.items()
            }
    found = {}
    whole = compact(engine)
    for name, tables in reversed(KEPT.items()):  # effects first: a row that others name goes last
        with engine.begin() as connection:
            for table in reversed(tables):
                connection.execute(text(f"DELETE FROM {table}"))
        found[name], whole = whole - (left := compact(engine)), left
    return found


def compact(engine: Engine) -> int:
    """The size of the SQLite file without free pages."""
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    assert engine.url.database is not None
    return Path(engine.url.database).stat().st_size


def documented() -> Mapping[str, Mapping[str, float]]:
    """The page's table: bytes by database and row."""
    found: dict[str, dict[str, float]] = {"postgresql": {}, "sqlite": {}}
    for line in section(DOCS / "how-to/scale.md", "Disk").splitlines():
        row = re.match(r"\| \*\*(an? \w+)\*\*.*?\| ([\d.]+) KB \| ([\d.]+) KB \|", line)
        if row:
            found["postgresql"][row[1]] = float(row[2]) * 1000
            found["sqlite"][row[1]] = float(row[3]) * 1000
    return found


def test_a_user_takes_as_much_disk_as_the_page_says(
    engine: Engine, ledger: Ledger, backend: str
) -> None:
    events = fill(ledger)
    notify_all(engine)
    with engine.connect() as connection:
        effects = connection.scalar(text("SELECT count(*) FROM effects"))
    numbers = {"a user": USERS, "an event": events, "an effect": effects}
    measured = {name: size / numbers[name] for name, size in sizes(engine).items()}
    said = documented()[backend]
    assert said.keys() == measured.keys(), measured
    for name, bytes_each in measured.items():
        assert bytes_each == pytest.approx(said[name], rel=WITHIN), measured
