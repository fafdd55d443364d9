"""The whole product behind a PgBouncer that has few connections to lend, by transaction."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from app.local.valkey import Valkey
from tests.console.pages import ADDRESSES
from tests.console.site import OPERATOR, WITHIN, Site, opened
from tests.console.stock import Lives, users
from tests.support.cli import ROOT
from tests.support.pgbouncer import log_of, pooled
from tests.support.postgres import Postgres
from tests.workers.process import started

LENT = 4
WORKERS = {"EVENT_WORKERS": "4", "EFFECT_WORKERS": "2"}


@pytest.fixture
def pooler(postgres: Postgres) -> Iterator[Postgres]:
    settings = {"default_pool_size": LENT, "admin_users": "postgres"}
    with pooled(postgres, "transaction", **settings) as server:
        yield server


def migrate(url: str) -> None:
    """As the release does."""
    subprocess.run(
        [sys.executable, "-m", "app", "migrate"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": url},
        check=True,
        timeout=WITHIN,
    )


@contextmanager
def working(site: Site) -> Iterator[None]:
    with started("-m", "workers", **site.environment, **WORKERS) as told:
        try:
            yield
        finally:
            told.process.terminate()
            told.ended(WITHIN)


def looked_at(site: Site) -> int:
    """Look at each page of the console that has no id in its address; how many there are."""
    pages = [address for address in ADDRESSES if "{" not in address]
    with site.signed_in(OPERATOR) as http:
        for page in pages:
            answer = http.get(site.url + page, timeout=WITHIN)
            assert answer.status_code in (200, 404), (page, answer.status_code, answer.text[:500])
    return len(pages)


def clients(pooler: Postgres) -> int:
    """How many connections the pooler has been asked for by the product."""
    with psycopg.connect(pooler.url("pgbouncer"), autocommit=True) as admin:
        return len(admin.execute("SHOW CLIENTS").fetchall()) - 1


@pytest.mark.slow
def test_web_workers_and_console_share_four_connections_of_the_server(
    pooler: Postgres, tmp_path: Path
) -> None:
    url = pooler.url(pooler.create_database())
    migrate(url)
    logged = len(pooler.log)
    with (
        Valkey(tmp_path / "valkey", fsync="no") as valkey,
        opened(tmp_path, valkey.url, url) as site,
        working(site),
        ThreadPoolExecutor(4) as threads,
    ):
        viewers = [threads.submit(looked_at, site) for _ in range(4)]
        bodies = list(users(Lives(time.time())))
        site.deliver(*bodies)
        assert [viewer.result(WITHIN) > 20 for viewer in viewers] == [True] * 4
        site.await_quiet()
        assert site.status("fine-00") == "verified"
        assert not site.deployment.dead
        assert clients(pooler) > 2 * LENT
        web_log = site.web.log.read_text()
    assert [line for line in web_log.splitlines() if '"level": "error"' in line] == []
    logs = pooler.log[logged:] + log_of(pooler)
    assert [line for line in logs.splitlines() if "ERROR" in line or "WARNING" in line] == []
