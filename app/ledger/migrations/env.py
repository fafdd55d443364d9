"""Alembic's environment. app/ledger/migrate.py gives it the connection, which holds the lock."""

from __future__ import annotations

from typing import Any

from alembic import context

from app.ledger.tables import metadata


def _note(ctx: Any, step: Any, heads: Any, run_args: Any) -> None:
    context.config.attributes["applied"].append(step.up_revision_id)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    on_version_apply=_note,
    # True of SQLite as well, with transactions that are begun by us and not by the driver.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
