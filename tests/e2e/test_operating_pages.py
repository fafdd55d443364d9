"""The commands of deploy.md, go-live.md and upgrade.md in docs/how-to, run on a new deployment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest

from app.ledger.schema import head
from tests.docs.pages import DOCS, ROOT, blocks, section_blocks
from tests.e2e.site import API_TOKEN, Site, open_site
from tests.support.postgres import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Stores and the local Stripe, on which nothing was deployed yet."""
    url = postgres.url(postgres.create_database())
    with open_site(tmp_path_factory.mktemp("site"), url) as site:
        yield site


def procfile() -> dict[str, list[str]]:
    """The commands of the processes, by their names."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {name: shlex.split(command) for name, command in (line.split(": ") for line in lines)}


def deploy(site: Site) -> str:
    """deploy.md from top to bottom; what its last commands answered."""
    token, migrate, check, try_it = blocks(DOCS / "how-to/deploy.md", "sh")
    assert len(site.do(token).out.strip()) >= 16
    assert f"brought to {head()}" in site.do(migrate).out
    for name, start in (("web", site.start_web), ("worker", site.start_workers)):
        assert procfile()[name] == ["python", "-m", {"web": "app.web", "worker": "workers"}[name]]
        start()
    told = site.do(check, URL=site.url).out
    assert '{"status":"ok"}{"status":"ready"' in told
    assert "wrong" not in told
    return site.do(try_it, URL=site.url, TOKEN=API_TOKEN).out


def test_the_pages_lead_from_a_deployment_to_its_first_upgrade(site: Site) -> None:
    told = deploy(site)
    opened, end = json.JSONDecoder().raw_decode(told)
    record = json.loads(told[end:])
    assert opened["client_reference_id"] == "user_1"
    assert record["standing"]["status"] == "requires_input"
    api_version, fill, check = blocks(DOCS / "how-to/go-live.md", "sh")
    assert site.do(api_version).out.startswith("20")
    assert "1 sessions are in the ledger now" in site.do(fill).out
    assert "wrong" not in site.do(check).out
    before, migrate, after = section_blocks(DOCS / "how-to/upgrade.md", "Upgrade", "sh")
    assert "wrong" not in site.do(before).out
    assert f"The ledger is at {head()} already." in site.do(migrate).out
    site.stop("web")
    site.stop("worker")
    site.start_web()
    site.start_workers()
    assert "wrong" not in site.do(after).out
