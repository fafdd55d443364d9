"""`identity migrate`: bring the ledger's tables to this version."""

from __future__ import annotations

import json
import os

import click

from app.ledger.engine import open_engine
from app.ledger.migrate import head, upgrade
from app.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a sentence.")
def migrate(as_json: bool) -> None:
    """Create or upgrade the ledger's tables in DATABASE_URL.

    Safe to run twice, and by several processes at once: the release process of every deploy runs
    it before the new version starts.
    """
    settings = Settings.from_environment(os.environ)
    engine = open_engine(str(settings.database_url))
    try:
        applied = upgrade(engine)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps({"applied": applied, "revision": head()}))
    elif applied:
        click.echo(f"The ledger was brought to {head()}: {', '.join(applied)}.")
    else:
        click.echo(f"The ledger is at {head()} already.")
