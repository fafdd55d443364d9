"""Which addresses ask for a token, and what they answer without one."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.web.conftest import TOKEN

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def addresses(client: TestClient) -> list[tuple[str, str]]:
    """Every method and path that is served, with something for each parameter of a path."""
    assert isinstance(client.app, Starlette)
    return [
        (method, route.path.replace("{id}", "vs_1").replace("{reference:reference}", "user_1"))
        for route in client.app.routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


def behind_the_token(path: str) -> bool:
    return path == "/metrics" or path.startswith("/v1/")


def test_all_of_v1_and_the_metrics_ask_for_a_token_and_nothing_else_does(
    client: TestClient,
) -> None:
    asked = addresses(client)
    assert sum(behind_the_token(path) for _, path in asked) >= 9
    for method, path in asked:
        answer = client.request(method, path)
        assert (answer.status_code == 401) == behind_the_token(path), (method, path)


def test_whatever_is_answered_behind_the_token_is_kept_by_no_cache(client: TestClient) -> None:
    for method, path in addresses(client):
        if behind_the_token(path):
            for headers in ({}, BEARER):
                answer = client.request(method, path, headers=headers)
                assert answer.headers["cache-control"] == "no-store", (method, path)


def test_a_body_without_a_token_is_not_read(client: TestClient) -> None:
    answer = client.post("/v1/verification_sessions", content=b" " * 1_000_000)
    assert answer.status_code == 401


def test_an_unknown_address_and_a_wrong_method_are_no_secret(client: TestClient) -> None:
    assert client.get("/v1/nothing").status_code == 404
    assert client.put("/v1/verification_sessions").status_code == 405
