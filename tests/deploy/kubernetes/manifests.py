"""The manifests as they are applied: what `kubectl kustomize` makes of each overlay."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from tests.support.cli import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
RENDERED = KUBERNETES / "rendered"
OVERLAYS = ("small", "production", "production-keda")
# What runs pods, and where each keeps what they are made of.
WORKLOADS = ("Deployment", "Job")
NAME, COMPONENT = "app.kubernetes.io/name", "app.kubernetes.io/component"

Manifest = dict[str, Any]


@cache
def _text(overlay: str) -> str:
    return (RENDERED / f"{overlay}.yaml").read_text("utf-8")


def manifests(overlay: str) -> list[Manifest]:
    """All of an overlay, from its rendered form; each call gives copies of its own."""
    return list(yaml.load_all(_text(overlay), Loader=yaml.CSafeLoader))


def of_kind(overlay: str, *kinds: str) -> list[Manifest]:
    """Those of these kinds."""
    return [manifest for manifest in manifests(overlay) if manifest["kind"] in kinds]


def the(overlay: str, kind: str, name: str) -> Manifest:
    """The one of this kind and name."""
    (found,) = (each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name)
    return found


def pods(overlay: str) -> dict[str, Manifest]:
    """What each workload makes its pods of, by the workload's name."""
    return {
        workload["metadata"]["name"]: workload["spec"]["template"]
        for workload in of_kind(overlay, *WORKLOADS)
    }


def container_of(pod: Manifest) -> Manifest:
    """A pod's only container."""
    (container,) = pod["spec"]["containers"]
    return dict(container)


def selects(selector: Manifest, labels: Manifest) -> bool:
    """Whether a selector selects what has these labels; an empty one selects everything."""
    unknown = selector.keys() - {"matchLabels", "matchExpressions"}
    assert not unknown, unknown
    wanted: Manifest = selector.get("matchLabels", {})
    return wanted.items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _holds(expression: Manifest, labels: Manifest) -> bool:
    assert expression["operator"] == "In", expression
    return labels.get(expression["key"]) in expression["values"]


def selected(overlay: str, selector: Manifest) -> set[str]:
    """The workloads whose pods a selector selects."""
    return {
        name for name, pod in pods(overlay).items() if selects(selector, pod["metadata"]["labels"])
    }


def examples() -> Iterator[tuple[str, Manifest]]:
    """One manifest of each kind, under the kind's name."""
    seen = set()
    for overlay in OVERLAYS:
        for manifest in manifests(overlay):
            if manifest["kind"] not in seen:
                seen.add(manifest["kind"])
                yield manifest["kind"], manifest
