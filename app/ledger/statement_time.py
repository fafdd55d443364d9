"""How long a statement may take at SQLite, which has no limit of its own."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, event

# Instructions of SQLite's machine between two looks at the clock: some tenths of a millisecond.
LOOK_EVERY = 10_000


def limit_statements(engine: Engine, seconds: float) -> None:
    """Interrupt each statement of a SQLite engine after so many seconds, fetching included."""
    event.listen(engine, "before_cursor_execute", partial(_limit, seconds))


def _limit(seconds: float, connection: Connection, *statement: Any) -> None:
    driver: Any = connection.connection.driver_connection
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, LOOK_EVERY)
