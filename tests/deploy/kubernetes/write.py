"""`python -m tests.deploy.kubernetes.write`: what is made of other files (`make kubernetes`)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from tests.deploy.kubernetes.manifests import KUBERNETES, OVERLAYS, RENDERED
from tests.support.cli import ROOT

KUBECTL = Path(sys.executable).parent / "kubectl"
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
RULES = KUBERNETES / "components/prometheus/alerts.yaml"
LABELS = {"app.kubernetes.io/name": "identity", "app.kubernetes.io/component": "monitoring"}


def rules() -> str:
    """The alerts as the Prometheus operator takes them."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "identity", "labels": LABELS},
        "spec": yaml.safe_load(ALERTS.read_text("utf-8")),
    }
    says = f"# Written by `make kubernetes` from {ALERTS.relative_to(ROOT)}. Edit that, not this.\n"
    return says + yaml.safe_dump(rule, sort_keys=False, allow_unicode=True, width=110)


def rendered(overlay: str) -> str:
    """An overlay as it is applied."""
    folder = KUBERNETES / "overlays" / overlay
    says = f"# Written by `make kubernetes` from {folder.relative_to(ROOT)}. Edit that, not this.\n"
    return says + kustomize(folder)


def kustomize(folder: Path) -> str:
    """What kubectl makes of a folder, without a cluster; it says itself what is wrong."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise SystemExit(f"kubectl makes nothing of {folder}")
    return done.stdout


def main() -> None:
    """Write each file."""
    RULES.write_text(rules(), "utf-8")
    RENDERED.mkdir(exist_ok=True)
    for overlay in OVERLAYS:
        (RENDERED / f"{overlay}.yaml").write_text(rendered(overlay), "utf-8")


if __name__ == "__main__":
    main()
