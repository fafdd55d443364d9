"""`migrate`: what the release process of every deploy runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from app.ledger.engine import open_engine
from app.ledger.schema import head, read_schema, revisions
from tests.support.cli import Run, start, wait_for
from tests.support.stores import leave_as_later


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where DATABASE_URL points; there is nothing yet."""
    return tmp_path / "ledger.db"


@pytest.fixture
def environment(database: Path) -> dict[str, str]:
    """The only setting that the command needs."""
    return {"DATABASE_URL": f"sqlite:///{database}"}


@pytest.fixture
def migrate(run: Run) -> Run:
    """Runs `identity migrate`."""
    return partial(run, "migrate")


def test_an_empty_database_is_brought_to_this_version(database: Path, migrate: Run) -> None:
    brought = f"The ledger was brought to {head()}: {', '.join(revisions())}.\n"
    assert migrate() == (0, brought, "")
    engine = open_engine(f"sqlite:///{database}")
    assert read_schema(engine).revision == head()
    engine.dispose()


def test_a_second_run_changes_nothing(database: Path, migrate: Run) -> None:
    assert migrate().code == 0
    before = database.read_bytes()
    assert migrate() == (0, f"The ledger is at {head()} already.\n", "")
    assert database.read_bytes() == before


def test_json_says_what_was_applied(migrate: Run) -> None:
    first, second = migrate("--json"), migrate("--json")
    assert (first.code, first.object) == (0, {"applied": revisions(), "revision": head()})
    assert (second.code, second.object) == (0, {"applied": [], "revision": head()})


def test_a_ledger_of_a_later_version_is_left_and_the_rollback_goes_on(
    database: Path, migrate: Run
) -> None:
    assert migrate().code == 0
    leave_as_later(f"sqlite:///{database}", since=head())
    code, told, errors = migrate()
    assert (code, errors) == (0, "")
    assert told == (
        f"The ledger is at 9999, of a later version than this one, which needs {head()}: "
        "it is left as it is.\n"
    )
    assert migrate("--json").object == {"applied": [], "revision": "9999"}


def test_a_ledger_that_this_version_is_too_old_for_is_one_line_and_exit_code_2(
    database: Path, migrate: Run
) -> None:
    assert migrate().code == 0
    leave_as_later(f"sqlite:///{database}", since="9999")
    code, told, errors = migrate()
    assert (code, told) == (2, "")
    assert errors == (
        f"the ledger in the SQLite file {database} has a schema that this release is too old for "
        "(revision 9999): deploy the release that migrated it, or a later one\n"
    )


def test_it_needs_no_other_setting(environment: dict[str, str], migrate: Run) -> None:
    assert [*environment] == ["DATABASE_URL"]
    ran = migrate()
    assert ran.code == 0
    assert "brought to" in ran.out


def test_two_at_once_migrate_once(environment: dict[str, str]) -> None:
    processes = [start(environment, "migrate", "--json") for _ in range(2)]
    ended = [wait_for(process, 30) for process in processes]
    assert [(ran.err, ran.code) for ran in ended] == [("", 0)] * 2
    applied = sorted(ran.object["applied"] for ran in ended)
    assert applied == [[], revisions()]


def test_a_wrong_database_url_is_one_line_and_exit_code_2(migrate: Run) -> None:
    code, output, errors = migrate(DATABASE_URL="mysql://user:PLANTED@host/identity")
    assert (code, output) == (2, "")
    assert errors.startswith("DATABASE_URL ")
    assert errors.count("\n") == 1
    assert "PLANTED" not in errors


def test_a_database_that_is_away_is_one_line_and_exit_code_1(database: Path, migrate: Run) -> None:
    url = f"sqlite:///{database / 'no' / 'ledger.db'}"
    code, output, errors = migrate(DATABASE_URL=url)
    assert (code, output) == (1, "")
    assert f"the folder of the SQLite file {database}" in errors
    assert errors.count("\n") == 1


def test_a_file_that_is_no_database_is_one_line_and_exit_code_1(
    database: Path, migrate: Run
) -> None:
    database.write_text("this is no database, " * 100)
    code, output, errors = migrate()
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert database.read_text().startswith("this is no database")


def test_on_a_dyno_sqlite_is_refused(database: Path, migrate: Run) -> None:
    code, _, errors = migrate(DYNO="release.1")
    assert code == 2
    assert "lost with the dyno" in errors
    assert not database.exists()
