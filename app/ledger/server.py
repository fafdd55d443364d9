"""Which server the ledger is at: its version, and whether a pooler stands before it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from app.ledger.beginning import is_pooled
from app.ledger.engine import LedgerBroken, for_reading, translates_errors
from app.ledger.failures import Place

OLDEST = (15,)  # of PostgreSQL, that the tests run on


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL, as we meet it."""

    version: str
    has_pooler: bool

    def __str__(self) -> str:
        """As people read it."""
        return f"PostgreSQL {self.version}{', through a pooler' if self.has_pooler else ''}"


@translates_errors
def look_at(engine: Engine) -> Server | None:
    """The server; None for SQLite. Raises LedgerBroken if it is too old."""
    if engine.dialect.name != "postgresql":
        return None
    with for_reading(engine).connect() as connection:
        refuse_old(connection)
        return Server(_version(connection), is_pooled(connection.connection.driver_connection))


def refuse_old(connection: Connection) -> None:
    """Raises LedgerBroken if the server is of a version that nothing here was tested on."""
    if connection.dialect.name != "postgresql":
        return
    if (connection.dialect.server_version_info or OLDEST) < OLDEST:
        place = Place.of(connection.engine.url)
        raise LedgerBroken(*place.explain("too_old", _version(connection)))


def _version(connection: Connection) -> str:
    return ".".join(str(part) for part in connection.dialect.server_version_info or ())
