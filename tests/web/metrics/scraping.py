"""`/metrics` as a test reads it."""

from __future__ import annotations

import httpx2
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.main import create_app
from tests.web.conftest import TOKEN

BEARER = {"Authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, ...], float]


def client_of(environment: dict[str, str], **other: str) -> TestClient:
    """The application over this environment."""
    return TestClient(create_app(Settings.from_environment(environment | other)))


def read_families(client: TestClient) -> list[Metric]:
    """Every metric."""
    answer = client.get("/metrics", headers=BEARER)
    assert answer.status_code == 200, answer.text
    return families_of(answer)


def families_of(answer: httpx2.Response) -> list[Metric]:
    """Every metric of an answer; each is ours, and says what it means."""
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    assert all(family.name.startswith("identity_") for family in families)
    return families


def scrape(client: TestClient) -> Samples:
    """Every sample by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name.removeprefix("identity_"), *sample.labels.values()): sample.value
        for family in read_families(client)
        for sample in family.samples
    }
