"""Questions to Prometheus about two scrapes of `/metrics`, answered by its own `promtool`."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

PROMTOOL = shutil.which("promtool")
# Minutes from the first scrape to the second: over a day, which is as far as alerts look back.
MINUTES = 1500
NOW = MINUTES * 60  # the time of the question in Unix seconds
NAME = re.compile(r"\b(?:identity_\w+|up)\b")
# By a series as a question selects it: `identity_up{store="redis"}`.
Scrape = Mapping[str, float]


def scrape(url: str, token: str) -> Scrape:
    """What Prometheus would keep of one scrape, `up` included. Times are told as if it were NOW."""
    up = 'up{job="identity"}'
    try:
        answer = requests.get(
            f"{url}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
    except requests.RequestException:
        return {up: 0.0}
    if not answer.ok:
        return {up: 0.0}
    ahead = time.time() - NOW
    found = {up: 1.0}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            moved = ahead if sample.name.endswith("_timestamp_seconds") else 0.0
            found[f"{sample.name}{{{labels}}}"] = sample.value - moved
    return found


def holds(question: str, first: Scrape, then: Scrape, folder: Path) -> bool:
    """Whether Prometheus answers it, if it saw `first` for a day, and now `then`."""
    assert PROMTOOL is not None
    asked_of = set(NAME.findall(question))
    series = [
        {"series": name, "values": _values(first.get(name), then.get(name))}
        for name in sorted(first.keys() | then.keys())
        if name.partition("{")[0] in asked_of
    ]
    # With a number of no meaning, so that any answer is the same as any other.
    asked = {
        "expr": f"vector(1) and on() ({question})",
        "eval_time": f"{MINUTES}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {"interval": "1m", "input_series": series, "promql_expr_test": [asked]}
    path = folder / "question.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    ran = subprocess.run(
        [PROMTOOL, "test", "rules", path], capture_output=True, text=True, timeout=60, check=False
    )
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0 or "got: nil" in told, told
    return ran.returncode == 0


def _values(first: float | None, then: float | None) -> str:
    """The series of a sample: `_` is none, `stale` that it is told no more."""
    before = "_" if first is None else f"{first}+0"
    return f"{before}x{MINUTES - 1} {'stale' if then is None else then}"
