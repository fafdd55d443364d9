"""From every schema that there was, with rows in it, the ledger is brought to this release's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.ledger.engine import open_engine
from app.ledger.ledger import Ledger
from app.ledger.schema import head, read_schema, revisions
from tests.releases.holding import FOLDER, RELEASES, STANDINGS, STATEMENTS, dump, restore_ledger
from tests.releases.rows import add_rows, missing, rows_of
from tests.releases.statements import execute, filled
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database, migrate_to

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
NewUrl = Callable[[], str]


@pytest.fixture(params=BOTH)
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """Gives the URL of an empty database."""
    if request.param == "sqlite":
        numbers = itertools.count()
        return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: server.url(server.create_database())


def upgraded(url: str) -> Engine:
    """The database of an earlier schema, whose rows an upgrade has kept."""
    engine = open_engine(url)
    before = rows_of(engine)
    assert all(before.values()), "no rows to keep"
    migrate_database(url)
    assert missing(before, rows_of(engine)) == []
    assert read_schema(engine).revision == head()
    return engine


def assert_like_a_new_one(url: str, new: str) -> None:
    migrate_database(new)
    assert dump(url, rows=False) == dump(new, rows=False)


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_an_upgrade_from_every_revision_keeps_all_rows_and_ends_in_the_schema_of_a_new_ledger(
    new_url: NewUrl, revision: str
) -> None:
    url = new_url()
    migrate_to(url, revision)
    engine = open_engine(url)
    add_rows(engine)
    engine.dispose()
    upgraded(url).dispose()
    assert_like_a_new_one(url, new_url())


@pytest.mark.parametrize("release", RELEASES)
def test_an_upgrade_from_every_release_keeps_all_rows_and_standings_as_that_release_read_them(
    new_url: NewUrl, release: str
) -> None:
    url = new_url()
    restore_ledger(release, url)
    engine = upgraded(url)
    kept = json.loads((FOLDER / release / STANDINGS).read_text())
    read = dict(Ledger(engine).all_standings(livemode=False))
    engine.dispose()
    assert kept.keys() == read.keys()
    assert [name for name in kept if not kept[name].items() <= read[name]._asdict().items()] == []
    assert_like_a_new_one(url, new_url())


@pytest.mark.parametrize("release", RELEASES)
def test_every_statement_that_a_release_has_prebuilt_works_on_this_schema(
    new_url: NewUrl, release: str
) -> None:
    """Its workers go on beside this release's, and after an upgrade was undone."""
    engine = filled(new_url())
    kept = json.loads((FOLDER / release / STATEMENTS).read_text())[engine.dialect.name]
    assert len(kept) > 35
    for sql, parameters in kept.values():
        with engine.connect() as connection:
            execute(connection, sql, parameters)
    engine.dispose()
