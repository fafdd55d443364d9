"""Prometheus' own tool, and the metrics that there are, for the tests of what asks for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest
from starlette.testclient import TestClient

from tests.web.metrics.scraping import read_families

METRIC = re.compile(r"\bidentity_\w+")
# A metric's type and labels, by its name.
Described = dict[str, tuple[str, frozenset[str]]]
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None and os.environ.get("CI") != "true", reason="promtool is not installed"
)


def promtool(*arguments: object) -> str:
    """What promtool says; it has to be content."""
    assert PROMTOOL is not None, "promtool is not installed"
    ran = subprocess.run(
        [PROMTOOL, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def described(client: TestClient) -> Described:
    """The metrics that are given, each with its type and labels."""
    found = {}
    for family in read_families(client):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, frozenset(labels))
    return found


def named_in(text: str) -> set[str]:
    """The metrics that an expression asks for; a histogram's by its own name."""
    return {re.sub(r"_(bucket|sum|count)\Z", "", name) for name in METRIC.findall(text)}
