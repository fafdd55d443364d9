"""docs/how-to/restore.md: after each loss its commands, from top to bottom, restore all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ledger.engine import open_engine
from app.local.scenarios import Scenario, run, scenarios
from tests.docs.pages import DOCS, Block, section_blocks
from tests.e2e.catching_up import users_told
from tests.e2e.site import WITHIN, Site, open_site
from tests.notifications.receiver import SECRET, Receiver, receiving
from tests.releases.rows import add_rows, missing, rows_of
from tests.support.postgres import Postgres, client_programs
from tests.support.shell import run as run_block
from tests.support.stores import migrate_database, migrate_to
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
PAGE = DOCS / "how-to/restore.md"


def commands(heading: str, count: int) -> list[Block]:
    """The commands under a heading, so many blocks of them."""
    found = section_blocks(PAGE, heading, "sh")
    assert len(found) == count, f"{heading} has other steps than this test does between them"
    return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The team's system, which is told of changes."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def site(postgres: Postgres, receiver: Receiver, tmp_path: Path) -> Iterator[Site]:
    """A deployment on PostgreSQL, up and running."""
    url = postgres.url(postgres.create_database())
    with open_site(tmp_path, url, **notify(receiver)) as site:
        start_all(site)
        yield site


def notify(receiver: Receiver) -> dict[str, str]:
    return {
        "NOTIFY_URL": receiver.url,
        "NOTIFY_SECRET": SECRET,
        "NOTIFY_ALLOW_PRIVATE": "1",
    }


def start_all(site: Site) -> None:
    migrate_database(site.environment["DATABASE_URL"])
    site.start_web()
    site.start_workers()


def live(site: Site, seed: int) -> None:
    """What some users do at Stripe, the same ones each time."""
    for one in scenarios(12, seed):
        run(Scenario(f"drill_{one.reference}", one.steps), site.sandbox)
    site.await_delivered()


def live_until_the_loss(site: Site) -> None:
    """An hour, of which the last part was taken and not applied."""
    live(site, 31)
    site.await_agreement()
    site.stop("worker")
    live(site, 32)


def await_later_versions(receiver: Receiver) -> None:
    """Wait until new versions are greater than all that were told, as after an hour's loss.

    A version is the time of the change, in seconds, or one more than the last: these users change
    several times a second.
    """
    told = [message["data"]["standing"]["version"] for message in list(receiver.accepted)]
    eventually(lambda: int(time.time()) > max(told), WITHIN)


def assert_all_is_back(site: Site, receiver: Receiver) -> None:
    """Ledger and receiver say what Stripe says."""
    site.await_agreement()
    expected = {name: (one.status, one.session_id) for name, one in site.sandbox.truth().items()}
    assert len(expected) == 12
    try:
        eventually(lambda: users_told(receiver) == expected, WITHIN)
    except AssertionError:
        assert users_told(receiver) == expected
        raise


def test_redis_is_lost(site: Site, receiver: Receiver) -> None:
    backfill, sweep, doctor = commands("Redis is lost", 3)
    live_until_the_loss(site)
    site.lose_redis()
    site.start_workers()
    assert site.disagreeing()
    site.do(backfill)
    site.do(sweep)
    assert_all_is_back(site, receiver)
    site.do(doctor)


def start_on_an_empty_ledger(
    section: str, site: Site, receiver: Receiver, postgres: Postgres
) -> None:
    """What a section of the page says to do, until all is back."""
    fill, add, check = commands(section, 3)
    site.stop("web")
    site.environment["DATABASE_URL"] = postgres.url(postgres.create_database())
    site.start_web()
    await_later_versions(receiver)
    site.do(fill)
    site.start_workers()
    site.do(add)
    assert_all_is_back(site, receiver)
    site.do(check)


def test_the_database_is_lost(site: Site, receiver: Receiver, postgres: Postgres) -> None:
    live_until_the_loss(site)
    start_on_an_empty_ledger("The database is lost", site, receiver, postgres)


def test_both_are_lost(site: Site, receiver: Receiver, postgres: Postgres) -> None:
    live_until_the_loss(site)
    site.lose_redis()
    start_on_an_empty_ledger("Both are lost", site, receiver, postgres)


def test_a_backup_of_postgresql_is_restored(
    site: Site, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up, restore = commands("Back up PostgreSQL", 2)
    fill, add, check = commands("The database is lost", 3)
    monkeypatch.setenv("PATH", str(client_programs()), prepend=":")
    live(site, 30)
    site.await_agreement()
    site.do(back_up)
    live_until_the_loss(site)
    await_later_versions(receiver)
    site.do(restore)
    assert site.disagreeing()
    site.do(fill)
    site.start_workers()
    site.do(add)
    assert_all_is_back(site, receiver)
    site.do(check)


def test_a_backup_from_before_an_upgrade_is_restored_into_an_empty_database(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up, _ = commands("Back up PostgreSQL", 2)
    create, restore = commands("Restore a backup from before an upgrade", 2)
    monkeypatch.setenv("PATH", str(client_programs()), prepend=":")
    old = postgres.url(postgres.create_database())
    migrate_to(old, "0003")
    engine = open_engine(old)
    add_rows(engine)
    before = rows_of(engine)
    engine.dispose()
    run_block(back_up, {"DATABASE_URL": old}, tmp_path)
    run_block(create, {"DATABASE_URL": old}, tmp_path)
    new = postgres.url("ledger_restored")
    run_block(restore, {"DATABASE_URL": new}, tmp_path)
    migrate_database(new)
    engine = open_engine(new)
    assert missing(before, rows_of(engine)) == []
    engine.dispose()


def test_a_backup_of_sqlite_is_restored(receiver: Receiver, tmp_path: Path) -> None:
    back_up, restore = commands("Back up SQLite", 2)
    fill, add, check = commands("The database is lost", 3)
    url = f"sqlite:///{tmp_path / 'identity.db'}"
    with open_site(tmp_path, url, **notify(receiver)) as site:
        start_all(site)
        live(site, 30)
        site.await_agreement()
        site.do(back_up)
        live_until_the_loss(site)
        site.stop("web")
        await_later_versions(receiver)
        site.do(restore)
        assert site.disagreeing()
        site.do(fill)
        site.start_web()
        site.start_workers()
        site.do(add)
        assert_all_is_back(site, receiver)
        site.do(check)
