"""How many connections a deployment takes: no more than docs/how-to/scale.md says."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from app.configuration.settings import Settings
from app.ledger.engine import POOL
from app.local.scenarios import run, scenarios
from app.queue.connection import MAX_CONNECTIONS
from tests.docs.pages import DOCS, section
from tests.e2e.site import Site, open_site
from tests.support.postgres import Postgres
from tests.support.stores import migrate_database

PAGE = section(DOCS / "how-to/scale.md", "Connections")


def most(store: str) -> tuple[int, int, int]:
    """The most connections of a `web` process, of a worker, and of a clock, as the page says."""
    row = re.search(rf"\| \*\*{store}\*\* \| (\d+) \| (\d+) \| (\d+) \|", PAGE)
    assert row is not None
    return int(row[1]), int(row[2]), int(row[3])


def of_default(store: str) -> int:
    """The most of a deployment with all defaults, by the page's numbers for each process."""
    web, worker, clock = most(store)
    defaults = Settings()
    workers = defaults.event_workers + defaults.effect_workers
    return web * defaults.web_concurrency + worker * workers + clock


def test_the_page_has_the_limits_of_the_code() -> None:
    # The event loop of `web` has two clients of one connection each: calls, and waits for the disk.
    assert most("Redis") == (MAX_CONNECTIONS + 2, MAX_CONNECTIONS, MAX_CONNECTIONS)
    pool = POOL["pool_size"] + POOL["max_overflow"]
    assert most("PostgreSQL") == (pool, 1, pool)
    for store in ("Redis", "PostgreSQL"):
        assert f"{of_default(store)} connections to {store}" in " ".join(PAGE.split())


@pytest.fixture
def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A default deployment, up and running."""
    url = postgres.url(postgres.create_database())
    migrate_database(url)
    with open_site(tmp_path_factory.mktemp("site"), url) as site:
        site.start_web()
        site.start_workers()
        yield site


@pytest.mark.slow
def test_a_default_deployment_takes_no_more_than_the_page_says(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    counted: dict[str, list[int]] = {"Redis": [], "PostgreSQL": []}
    users = scenarios(40, 5)
    with site.redis() as redis, psycopg.connect(site.environment["DATABASE_URL"]) as sql:
        sql.autocommit = True
        for one in users:
            run(one, site.sandbox)
            counted["Redis"].append(len(redis.client_list()) - 1)
            others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            counted["PostgreSQL"].append(sql.execute(others).fetchone()[0] - 1)  # type: ignore[index]
    with capsys.disabled():
        print({store: max(found) for store, found in counted.items()})  # noqa: T201 - to be read
    for store, found in counted.items():
        assert 0 < max(found) <= of_default(store)
