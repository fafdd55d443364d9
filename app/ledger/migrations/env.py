"""Alembic's environment. app/ledger/migrate.py gives it the connection, which holds the lock."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import text

from app.ledger.tables import metadata

# Of the first migrations, which no release knew without it, there is none to keep apart.
FIRST_COMPATIBILITY = "0004"
KEEP_COMPATIBILITY = text(
    "INSERT INTO schema_compatibility (revision, compatible_since) VALUES (:revision, :since)"
)


def _note(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    revision = step.up_revision_id
    context.config.attributes["applied"].append(revision)
    if revision >= FIRST_COMPATIBILITY:
        since = step.up_revision.module.compatible_since
        ctx.connection.execute(KEEP_COMPATIBILITY, {"revision": revision, "since": since})


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    on_version_apply=_note,
    # True of SQLite as well, with transactions that are begun by us and not by the driver.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
