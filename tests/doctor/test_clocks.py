"""What the doctor finds if this host's clock is wrong."""

from __future__ import annotations

import time

import pytest

from tests.doctor.deployment import Deployment, assert_is


@pytest.mark.parametrize(("late", "state"), [(30, "ok"), (90, "wrong"), (-90, "wrong")])
def test_a_host_whose_clock_is_a_minute_off_is_wrong(
    deployment: Deployment, late: int, state: str
) -> None:
    deployment.now = lambda: time.time() - late
    found = deployment.examine()
    for name in ("clock against Redis", "clock against Stripe"):
        direction = "ahead of" if late > 0 else "behind"
        assert_is(found[name], state, *([direction, "NTP"] if state == "wrong" else []))
