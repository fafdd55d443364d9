"""A real fault: the database refuses one session's events until it is mended. SQLite only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, select, text

from app.ledger.tables import events


@contextmanager
def broken_session(engine: Engine, session_id: str) -> Iterator[None]:
    """Within the block, every event of the session fails in its transaction."""
    if not session_id.replace("_", "").isalnum():
        raise ValueError("a session id has letters, digits and underscores")
    # DDL takes no parameters; checked above. Its own name: several may be broken at once.
    name = f"broken_{session_id}"
    fault = f"WHEN NEW.session_id = '{session_id}' BEGIN SELECT RAISE(ABORT, 'broken'); END"
    mend = text(f"DROP TRIGGER IF EXISTS {name}")
    with engine.begin() as connection:
        connection.execute(mend)  # one that was killed may have left it
        connection.execute(text(f"CREATE TRIGGER {name} BEFORE INSERT ON events {fault}"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(mend)


def applied_names(engine: Engine, session_id: str) -> set[str]:
    """The last parts of the types of the session's events that have been applied."""
    with engine.connect() as connection:
        found = select(events.c.name).where(events.c.session_id == session_id)
        return set(connection.execute(found).scalars())
