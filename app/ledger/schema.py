"""What schema the database has, and whether this release may work on it.

It is asked without Alembic, which takes long to load.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, inspect, select, text

from app.domain.errors import StoreFailure
from app.ledger.engine import LedgerTooNew, for_reading, translates_errors
from app.ledger.failures import Place
from app.ledger.tables import schema_compatibility

VERSIONS = Path(__file__).parent / "migrations" / "versions"
# A migration's file begins with its id: `0001_ledger.py`.
REVISION = re.compile(r"([0-9]+)_\w+\.py\Z")
# In Alembic's own table.
CURRENT = text("SELECT version_num FROM alembic_version")
COMPATIBLE_SINCE = select(schema_compatibility.c.compatible_since).where(
    schema_compatibility.c.revision == bindparam("revision")
)

# A later release's schema is "later" where this release may work on it, and else "too new".
Fit = Literal["empty", "behind", "current", "later", "too new"]


class Schema(NamedTuple):
    """What the database says of its schema."""

    revision: str | None  # the migration that was run last; None: none was
    # The oldest migration whose releases may work on the schema; None where nothing is said.
    compatible_since: str | None = None


def revisions() -> list[str]:
    """The ids of this release's migrations, oldest first."""
    found = (REVISION.match(path.name) for path in VERSIONS.iterdir())
    return sorted(match[1] for match in found if match)


def head() -> str:
    """The id of the migration that this release needs."""
    return revisions()[-1]


def fit(schema: Schema, known: Sequence[str]) -> Fit:
    """How a schema fits a release that has these migrations, oldest first.

    Of a migration that it does not know, the release goes by what that says of itself: one that
    says nothing is of nobody who knows what this release needs.
    """
    if schema.revision is None:
        return "empty"
    if schema.revision == known[-1]:
        return "current"
    if schema.revision in known:
        return "behind"
    return "later" if schema.compatible_since in known else "too new"


@translates_errors
def read_schema(engine: Engine) -> Schema:
    """What the database says of its schema."""
    with for_reading(engine).connect() as connection:
        return schema_of(connection)


def schema_of(connection: Connection) -> Schema:
    """The same over a connection, as its transaction sees it."""
    if not inspect(connection).has_table("alembic_version"):
        return Schema(None)
    revision = connection.execute(CURRENT).scalar()
    # No other's table has to be asked, and an earlier release has none.
    if revision is None or revision in revisions():
        return Schema(revision)
    if not inspect(connection).has_table(schema_compatibility.name):
        return Schema(revision)
    return Schema(revision, connection.execute(COMPATIBLE_SINCE, {"revision": revision}).scalar())


def too_new(engine: Engine, revision: str | None) -> LedgerTooNew:
    """What to raise of a schema that is."""
    return LedgerTooNew(*Place.of(engine.url).explain("too_new", f"revision {revision}"))


def refuse_too_new(engine: Engine) -> None:
    """Raises LedgerTooNew where this release must not work on the schema.

    Raises LedgerUnavailable and LedgerBroken where that cannot be asked.
    """
    schema = read_schema(engine)
    if fit(schema, revisions()) == "too new":
        raise too_new(engine, schema.revision)


def refuse_if_known_too_new(engine: Engine) -> None:
    """The same, and a database that cannot be asked is left to whoever needs it."""
    try:
        refuse_too_new(engine)
    except LedgerTooNew:
        raise
    except StoreFailure:
        return


def mismatch(engine: Engine) -> str | None:
    """Why `migrate` has to be run before this release works on the database; None if not.

    Raises as `refuse_too_new` does.
    """
    schema, known = read_schema(engine), revisions()
    found = fit(schema, known)
    if found == "too new":
        raise too_new(engine, schema.revision)
    if found == "empty":
        return "the ledger is not migrated: run `python -m app migrate`"
    if found == "behind":
        return (
            f"the ledger is at revision {schema.revision}, and this release needs {known[-1]}: run "
            "`python -m app migrate`"
        )
    return None


def pending(engine: Engine) -> int:
    """How many migrations the database lacks; 0 for one that a later release has migrated."""
    revision, known = read_schema(engine).revision, revisions()
    return len(known) if revision is None else sum(id > revision for id in known)
