"""The ledger of a test that is run on both databases."""

from __future__ import annotations

import pytest

from tests.support.postgres import Postgres
from tests.support.stores import migrate_database


def ledger_of(request: pytest.FixtureRequest) -> str | None:
    """The URL of a migrated PostgreSQL if the test asks for one; None for the product's SQLite."""
    if request.param != "postgresql":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    url = server.url(server.create_database())
    migrate_database(url)
    return url
