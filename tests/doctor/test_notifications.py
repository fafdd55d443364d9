"""What the doctor says of the callback's address."""

from __future__ import annotations

import pytest

from app.doctor.result import Finding
from tests.doctor.deployment import Deployment, assert_is
from tests.notifications.receiver import SECRET

PUBLIC = "8.8.8.8"


def examine(deployment: Deployment, url: str, allow_private: str = "0") -> Finding:
    found = deployment.examine(
        NOTIFY_URL=url, NOTIFY_SECRET=SECRET, NOTIFY_ALLOW_PRIVATE=allow_private
    )
    return found["callback"]


def test_without_a_callback_nothing_is_looked_at(deployment: Deployment) -> None:
    assert_is(deployment.examine()["callback"], "ok", "off")


@pytest.mark.parametrize(
    ("url", "state", "said"),
    [
        (f"https://{PUBLIC}/hook?PLANTED", "ok", f"https:// to {PUBLIC}"),
        (f"http://user:PLANTED@{PUBLIC}/", "warning", "http:// to 8.8.8.8, a public address"),
        ("http://127.0.0.1:9/PLANTED", "wrong", "NOTIFY_ALLOW_PRIVATE=1"),
    ],
)
def test_where_it_leads_to_is_judged(
    deployment: Deployment, url: str, state: str, said: str
) -> None:
    assert_is(examine(deployment, url), state, said)


def test_plain_http_to_a_private_address_is_no_fault_if_it_is_meant(
    deployment: Deployment,
) -> None:
    found = examine(deployment, "http://127.0.0.1:9/", "1")
    assert_is(found, "ok", "http:// to 127.0.0.1")
