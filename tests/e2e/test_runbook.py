"""docs/how-to/alerts.md, from top to bottom: each trouble is made, seen, mended, and over.

An alert's own condition decides whether there is trouble, and what the page says under "Over"
whether it has gone. Prometheus' own `promtool` answers both, from what the deployment tells. Where
trouble takes minutes or days to be one, the times in the stores are changed by hand; how long an
alert waits by its `for` is tested in `deploy/prometheus/alerts_test.yaml`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, blocks, section
from tests.e2e.runbook import queues, stripe_side
from tests.e2e.runbook.promql import PROMTOOL, Scrape, holds
from tests.e2e.runbook.stage import PAGE, WITHIN, Stage, opened_stage
from tests.support.postgres import Postgres
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
RULES = ROOT / "deploy/prometheus/alerts.yaml"
CONDITIONS = {
    rule["alert"]: " ".join(rule["expr"].split())
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}
TROUBLES: dict[str, Any] = queues.TROUBLES | stripe_side.TROUBLES
OVER = re.compile(r"\*\*Over\*\*: `([^`]+)`")


def question_of(name: str) -> str:
    """What the page has Prometheus asked, to know that it is over."""
    found = OVER.search(section(PAGE, name))
    assert found is not None
    return found[1]


@pytest.fixture(scope="module")
def stage(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if PROMTOOL is None:
        assert os.environ.get("CI") != "true", "promtool is not installed"
        pytest.skip("promtool is not installed")
    with opened_stage(postgres, tmp_path_factory.mktemp("runbook")) as stage:
        yield stage


def test_every_section_is_executed() -> None:
    assert [*TROUBLES] == re.findall(r"^## (Identity\w+)$", PAGE.read_text(), re.MULTILINE)


def test_the_first_commands_say_that_all_is_well_where_it_is(stage: Stage) -> None:
    first = next(blocks(PAGE, "sh"))
    assert "python -m app status" in first.text
    assert "wrong" not in stage.site.do(first).out


@pytest.mark.parametrize("name", TROUBLES)
def test_a_section_leads_out_of_the_trouble_that_its_alert_tells_of(
    stage: Stage, name: str
) -> None:
    over, folder = question_of(name), stage.folder
    stage.section = name

    def is_seen(healthy: Scrape) -> bool:
        now = stage.scrape()
        return holds(CONDITIONS[name], healthy, now, folder) and not holds(
            over, healthy, now, folder
        )

    def is_over(mended: Scrape) -> bool:
        now = stage.scrape()
        return holds(over, mended, now, folder) and not holds(CONDITIONS[name], mended, now, folder)

    healthy = stage.scrape()
    with closing(TROUBLES[name](stage)) as trouble:
        next(trouble)
        eventually(lambda: is_seen(healthy), WITHIN, f"{name} is seen")
        next(trouble)
        mended = stage.scrape()
        stage.goes_well()
        eventually(lambda: is_over(mended), WITHIN, f"{name} is over")
