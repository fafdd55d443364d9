"""`identity migrate`: bring the ledger's tables to this version."""

from __future__ import annotations

import json
import os
import time

import click
from sqlalchemy import Engine

from app.cli.who import user_name
from app.configuration.settings import LEDGER_NEEDS, Settings
from app.ledger.audit import Audit
from app.ledger.engine import open_engine
from app.ledger.migrate import upgrade
from app.ledger.schema import fit, head, read_schema, revisions
from app.operations.auditing import write_entry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a sentence.")
def migrate(as_json: bool) -> None:
    """Create or upgrade the ledger's tables in DATABASE_URL.

    Safe to run twice, and by several processes at once: the release process of every deploy runs
    it before the new version starts. What a later version has upgraded is left as it is, so that
    an upgrade can be undone; exit code 2 if this version is too old for it.
    """
    settings = Settings.from_environment(os.environ, needed=LEDGER_NEEDS)
    engine = open_engine(str(settings.database_url))
    try:
        applied = upgrade(engine)
        schema = read_schema(engine)
        if applied:
            _record(engine, applied)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps({"applied": applied, "revision": schema.revision}))
    elif applied:
        click.echo(f"The ledger was brought to {head()}: {', '.join(applied)}.")
    elif fit(schema, revisions()) == "later":
        click.echo(
            f"The ledger is at {schema.revision}, of a later version than this one, which needs "
            f"{head()}: it is left as it is."
        )
    else:
        click.echo(f"The ledger is at {head()} already.")


def _record(engine: Engine, applied: list[str]) -> None:
    write_entry(
        Audit(engine),
        who=user_name(),
        via="cli",
        action="migrate",
        target={"revisions": ", ".join(applied)},
        at=int(time.time()),
    )
