"""How many pods there are: by CPU, by the age of the oldest job, and while nodes are drained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.kubernetes.manifests import (
    NAME,
    OVERLAYS,
    Manifest,
    of_kind,
    selects,
    the,
)
from tests.deploy.prometheus import Described, needs_promtool, promtool

WITH_KEDA = "production-keda"
SCALED = the(WITH_KEDA, "ScaledObject", "identity-worker")["spec"]
QUERIES = {trigger["name"]: trigger["metadata"]["query"] for trigger in SCALED["triggers"]}
SELECTOR = re.compile(r"(identity_\w+)\{([^}]*)\}")
JOB = "identity"


def replicas(overlay: str, name: str) -> int | None:
    """How many pods a manifest asks for; None: somebody else decides."""
    asked = the(overlay, "Deployment", name)["spec"].get("replicas")
    return None if asked is None else int(asked)


def test_how_many_pods_each_overlay_begins_with() -> None:
    assert {
        overlay: (replicas(overlay, "identity-web"), replicas(overlay, "identity-worker"))
        for overlay in OVERLAYS
    } == {"small": (1, 1), "production": (None, 2), "production-keda": (None, None)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_who_scales_a_workload_scales_one_that_names_no_number(overlay: str) -> None:
    for scaler in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject"):
        target = scaler["spec"]["scaleTargetRef"]
        assert target.get("kind", "Deployment") == "Deployment"
        assert replicas(overlay, target["name"]) is None
    for deployment in of_kind(overlay, "Deployment"):
        scalers = [
            scaler["kind"]
            for scaler in of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
            if scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
        ]
        assert len(scalers) == (0 if "replicas" in deployment["spec"] else 1)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_node_can_be_drained_even_of_the_only_pod(overlay: str) -> None:
    for budget in of_kind(overlay, "PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"]


def test_there_is_always_a_worker_for_its_clock() -> None:
    assert SCALED["minReplicaCount"] >= 1
    assert "idleReplicaCount" not in SCALED
    assert SCALED["fallback"]["replicas"] >= SCALED["minReplicaCount"]


def test_every_metric_and_label_that_scaling_asks_for_is_given(metrics: Described) -> None:
    for query in QUERIES.values():
        asked = SELECTOR.findall(query)
        assert len(asked) == len(re.findall(r"identity_\w+", query)) == 3
        for name, labels in asked:
            assert name in metrics
            given = set(re.findall(r"(\w+)=", labels)) - {"job"}
            assert given <= metrics[name][1]


def test_the_monitor_gives_the_job_that_the_queries_and_the_alerts_name() -> None:
    (monitor,) = of_kind(WITH_KEDA, "ServiceMonitor")
    service = the(WITH_KEDA, "Service", "identity-web")
    assert monitor["spec"]["jobLabel"] == NAME
    assert service["metadata"]["labels"][NAME] == JOB
    assert selects(monitor["spec"]["selector"], service["metadata"]["labels"])
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    (rule,) = of_kind(WITH_KEDA, "PrometheusRule")
    for asked in [*QUERIES.values(), yaml.safe_dump(rule["spec"])]:
        assert set(re.findall(r'job="(\w+)"', asked)) == {JOB}


# --- the queries ---------------------------------------------------------------------------------


def series(oldest: dict[str, str], ledger: str = "1", suspended: str = "0") -> list[Manifest]:
    """What two web pods tell, for five minutes."""
    values = {
        f'identity_oldest_queued_seconds{{queue="{queue}"': age for queue, age in oldest.items()
    }
    values['identity_up{store="ledger"'] = ledger
    values['identity_up{store="redis"'] = "1"
    values["identity_workers_suspended{"] = suspended
    return [
        {
            "series": f'{name}{"" if name.endswith("{") else ","}job="{JOB}",pod="web-{pod}"}}',
            "values": f"{value}x5",
        }
        for name, value in values.items()
        for pod in (1, 2)
    ]


def answered(told: list[Manifest], tmp_path: Path, expected: dict[str, float]) -> str:
    """Prometheus' word on whether each query gives this number."""
    tests: list[dict[str, Any]] = [
        {
            "interval": "1m",
            "input_series": told,
            "promql_expr_test": [
                {
                    "expr": QUERIES[name],
                    "eval_time": "3m",
                    "exp_samples": [{"labels": "{}", "value": value}],
                }
                for name, value in expected.items()
            ],
        }
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": tests}))
    return promtool("test", "rules", path)


@needs_promtool
def test_each_queue_asks_for_workers_by_the_age_of_its_own_oldest(tmp_path: Path) -> None:
    told = series({"events": "90", "effects": "120"})
    assert "SUCCESS" in answered(told, tmp_path, {"events": 90, "effects": 120})


@needs_promtool
def test_no_worker_more_is_asked_for_while_the_ledger_is_away(tmp_path: Path) -> None:
    told = series({"events": "90", "effects": "120"}, ledger="0")
    assert "SUCCESS" in answered(told, tmp_path, {"events": 0, "effects": 0})


@needs_promtool
def test_no_worker_more_is_asked_for_while_they_are_paused(tmp_path: Path) -> None:
    told = series({"events": "90", "effects": "120"}, suspended="1")
    assert "SUCCESS" in answered(told, tmp_path, {"events": 0, "effects": 0})


@needs_promtool
def test_a_number_that_the_query_does_not_give_is_found(tmp_path: Path) -> None:
    told = series({"events": "90", "effects": "120"})
    with pytest.raises(AssertionError, match="FAILED"):
        answered(told, tmp_path, {"events": 91})
