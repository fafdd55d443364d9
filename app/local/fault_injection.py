"""A real fault for the demo: the database refuses one session's events until it is repaired."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text


@contextmanager
def broken_session(engine: Engine, session_id: str) -> Iterator[None]:
    """Within the block, every event of the session fails in its transaction. SQLite only."""
    if not session_id.replace("_", "").isalnum():
        raise ValueError("a session id has letters, digits and underscores")
    condition = f"NEW.session_id = '{session_id}'"  # DDL takes no parameters; checked above
    fault = f"WHEN {condition} BEGIN SELECT RAISE(ABORT, 'demo'); END"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TRIGGER demo_fault BEFORE INSERT ON events {fault}"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP TRIGGER demo_fault"))
