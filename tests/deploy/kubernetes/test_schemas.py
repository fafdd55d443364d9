"""Every manifest is one that Kubernetes, or its operator, takes."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from tests.deploy.kubernetes.manifests import (
    OVERLAYS,
    RENDERED,
    Manifest,
    examples,
    manifests,
)
from tests.deploy.kubernetes.schemas import VERSIONS, problems
from tests.deploy.kubernetes.write import ALERTS, RULES, rendered, rules
from tests.docs.pages import DOCS, read

PAGE = DOCS / "how-to/kubernetes.md"
# For each kind, a value of a wrong type, and where.
WRONG: dict[str, tuple[str, Any]] = {
    "Namespace": ("metadata.labels", ["restricted"]),
    "ServiceAccount": ("automountServiceAccountToken", "no"),
    "ConfigMap": ("data.PORT", 8000),
    "NetworkPolicy": ("spec.policyTypes", "Ingress"),
    "Job": ("spec.backoffLimit", "three"),
    "Deployment": ("spec.template.spec.terminationGracePeriodSeconds", "40s"),
    "Service": ("spec.ports.0.port", "80"),
    "PodDisruptionBudget": ("spec.selector", "web"),
    "Ingress": ("spec.rules.0.http.paths.0.backend.service.port.name", 80),
    "HorizontalPodAutoscaler": ("spec.maxReplicas", "4"),
    "ScaledObject": ("spec.triggers.0.metricType", 1),
    "ServiceMonitor": ("spec.endpoints.0.path", 1),
    "PrometheusRule": ("spec.groups.0.rules.0.alert", 1),
}
KINDS = dict(examples())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_rendered_form_is_what_the_overlay_makes_now(overlay: str) -> None:
    committed = (RENDERED / f"{overlay}.yaml").read_text("utf-8")
    assert committed == rendered(overlay), "run `make kubernetes`"


def test_the_alerts_in_the_manifests_are_those_of_prometheus() -> None:
    assert RULES.read_text("utf-8") == rules(), f"run `make kubernetes` after {ALERTS.name}"


def test_every_manifest_fits_its_schema() -> None:
    each = {
        json.dumps(manifest): manifest for overlay in OVERLAYS for manifest in manifests(overlay)
    }
    found = {
        f"{manifest['kind']} {manifest['metadata']['name']}": wrong
        for manifest in each.values()
        if (wrong := problems(manifest))
    }
    assert found == {}


def test_every_release_that_the_page_names_is_one_that_manifests_are_held_to() -> None:
    assert f"schemas of {VERSIONS[0][:-2]} to {VERSIONS[-1][:-2]}, in which" in read(PAGE)


def test_every_kind_is_one_that_a_mistake_is_planted_in() -> None:
    assert KINDS.keys() == WRONG.keys()


@pytest.mark.parametrize("kind", WRONG)
def test_a_field_that_nobody_knows_is_found(kind: str) -> None:
    manifest = deepcopy(KINDS[kind])
    within = manifest.get("spec", manifest)
    within["replica"] = 1
    assert any("replica" in problem for problem in problems(manifest))


@pytest.mark.parametrize(
    "kind", sorted(WRONG.keys() - {"ConfigMap"})
)  # whose keys are ours to name
def test_a_misspelt_field_deep_down_is_found(kind: str) -> None:
    manifest = deepcopy(KINDS[kind])
    *way, _ = WRONG[kind][0].split(".")
    inner = at(manifest, way)
    inner["nosuch"] = "x"
    assert any("nosuch" in problem for problem in problems(manifest))


@pytest.mark.parametrize("kind", WRONG)
def test_a_value_of_a_wrong_type_is_found(kind: str) -> None:
    manifest = deepcopy(KINDS[kind])
    where, value = WRONG[kind]
    *way, field = where.split(".")
    inner = at(manifest, way)
    assert field in inner
    inner[field] = value
    assert any(field in problem for problem in problems(manifest))


def at(manifest: Manifest, way: list[str]) -> Any:
    """What stands at the end of a way of fields and places."""
    inner: Any = manifest
    for step in way:
        inner = inner[int(step)] if isinstance(inner, list) else inner[step]
    return inner
