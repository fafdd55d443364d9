"""How long properties are tried: for a moment in every run, for many minutes as a soak."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    """So many, each of which may take its time."""
    slow = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=slow)


A_FEW, MANY = examples(150), examples(200_000)


def soak(test: Any) -> Any:
    """The marks of a test that takes many minutes."""
    return pytest.mark.soak(pytest.mark.timeout(7_200)(test))
