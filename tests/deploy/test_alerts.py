"""The alerts and the dashboard: of metrics that exist, each alert tested and in the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus import Described, named_in, needs_promtool, promtool
from tests.support.cli import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
ALERTS, TESTS = PROMETHEUS / "alerts.yaml", PROMETHEUS / "alerts_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"
RUNBOOK = ROOT / "docs/how-to/alerts.md"
REFERENCE = ROOT / "docs/reference/metrics.md"
# A line of a table: | `metric` | type | labels | unit | meaning |
ROW = re.compile(r"\| `(identity_\w+)` \| (\w+) \|([^|]*)\| ([^|]+) \| ([^|]+) \|")


def load_yaml(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text("utf-8"))


RULES = [rule for group in load_yaml("alerts.yaml")["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]


# --- alerts ------------------------------------------------------------------------------------


@needs_promtool
def test_the_alerts_are_rules_of_prometheus() -> None:
    assert f"{len(NAMES)} rules found" in promtool("check", "rules", ALERTS)


@pytest.mark.slow
@needs_promtool
def test_every_alert_fires_when_it_should_and_not_before() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


@needs_promtool
@pytest.mark.parametrize("name", ["prometheus.yaml", "compose.yaml"])
def test_the_example_of_a_scrape_is_a_configuration_of_prometheus(name: str) -> None:
    promtool("check", "config", "--syntax-only", PROMETHEUS / name)
    assert {scrape["job_name"] for scrape in load_yaml(name)["scrape_configs"]} == {"identity"}


def test_each_alert_is_tested_to_fire_and_not_to() -> None:
    tested = {
        (case["alertname"], bool(case["exp_alerts"]))
        for test in load_yaml("alerts_test.yaml")["tests"]
        for case in test["alert_rule_test"]
    }
    assert tested == {(name, fires) for name in NAMES for fires in (True, False)}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_how_grave_it_is_and_what_it_means(rule: Any) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".")


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    page = RUNBOOK.read_text("utf-8")
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == NAMES
    for rule in RULES:
        named = f"docs/how-to/alerts.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == named


@pytest.mark.parametrize("name", NAMES)
def test_a_section_says_what_it_means_who_is_hit_what_to_look_at_to_do_and_when_it_is_over(
    name: str,
) -> None:
    page = RUNBOOK.read_text("utf-8")
    section = page.partition(f"## {name}\n")[2].partition("\n## ")[0]
    parts = re.findall(r"\*\*(\w[\w ]*)\*\*:", section)
    assert parts == ["Means", "Hit", "Look at", "Do", "Over"]


def test_every_metric_of_an_alert_is_one_that_is_given(
    metrics: Described,
) -> None:
    asked = {name for rule in RULES for name in named_in(rule["expr"])}
    assert asked - metrics.keys() == set()
    assert len(asked) > 15


# --- dashboard ---------------------------------------------------------------------------------


def panels() -> list[Any]:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_every_metric_of_the_dashboard_is_one_that_is_given(
    metrics: Described,
) -> None:
    asked = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in named_in(target["expr"])
    }
    assert asked - metrics.keys() == set()
    assert metrics.keys() - asked == set(), "not on the dashboard"


def test_every_panel_has_a_title_a_source_and_its_own_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)


@needs_promtool
def test_every_expression_of_the_dashboard_is_one(tmp_path: Path) -> None:
    """As rules, for promtool checks those."""
    rules = [
        {"record": f"panel:{number}", "expr": target["expr"].replace("$__rate_interval", "5m")}
        for number, target in enumerate(t for panel in panels() for t in panel["targets"])
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path)


# --- the reference -----------------------------------------------------------------------------


def test_the_reference_has_every_metric_with_its_type_and_labels(
    metrics: Described,
) -> None:
    rows = ROW.findall(REFERENCE.read_text("utf-8"))
    told = {
        name: (type, frozenset(re.findall(r"`(\w+)`", labels))) for name, type, labels, *_ in rows
    }
    assert told.keys() == metrics.keys()
    assert {name: told[name] for name in told if told[name] != metrics[name]} == {}
