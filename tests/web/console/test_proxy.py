"""People whom a trusted proxy has signed in, and those who only say that it has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.main import create_app
from tests.web.console.browser import ADDRESS, Browser

SECRET = "secret-of-the-proxy"
BY_PROXY = {
    "CONSOLE_PROXY_HEADER": "X-Forwarded-Email",
    "CONSOLE_PROXY_SECRET": SECRET,
    "CONSOLE_PROXY_USERS": "anna@example.com:operate ben@example.com:read",
}


@pytest.fixture
def web_client(environment: dict[str, str], redis: Redis) -> Iterator[TestClient]:
    settings = Settings.from_environment(environment | BY_PROXY)
    with TestClient(create_app(settings), ADDRESS, follow_redirects=False) as client:
        yield client


def come(client: TestClient, *headers: tuple[str, str]) -> tuple[int, str]:
    """The status and text of a page that there is not: 404 is for who is signed in, or 303."""
    answer = client.get("/console/sign-in", headers=list(headers))
    return answer.status_code, answer.text


def test_the_proxys_people_are_signed_in_by_its_header(web_client: TestClient) -> None:
    named = ("X-Forwarded-Email", "anna@example.com")
    assert come(web_client, ("Console-Proxy-Secret", SECRET), named)[0] == 303


@pytest.mark.parametrize("secret", ["", "secret-of-the-prox", SECRET + "x", "é"])
def test_without_the_proxys_secret_its_header_is_not_believed(
    web_client: TestClient, secret: str
) -> None:
    named = (b"X-Forwarded-Email", b"anna@example.com")
    headers = [(b"Console-Proxy-Secret", secret.encode()), named]
    answer = web_client.get("/console/sign-in", headers=headers)
    assert answer.status_code == 200
    assert "come through your proxy" in answer.text
    assert "password" not in answer.text.replace("takes no passwords", "")


def test_a_header_that_is_there_twice_is_not_believed(web_client: TestClient) -> None:
    secret = ("Console-Proxy-Secret", SECRET)
    twice = [("X-Forwarded-Email", "ben@example.com"), ("X-Forwarded-Email", "anna@example.com")]
    assert come(web_client, secret, *twice)[0] == 200


def test_somebody_without_a_role_is_told_so(web_client: TestClient) -> None:
    secret = ("Console-Proxy-Secret", SECRET)
    status, text = come(web_client, secret, ("X-Forwarded-Email", "eve@example.com"))
    assert status == 403
    assert "CONSOLE_PROXY_USERS" in text
    assert "eve@example.com" not in text


def test_where_only_the_proxy_signs_in_no_password_is_taken(web_client: TestClient) -> None:
    answer = Browser(web_client).post("/console/sign-in", name="anna@example.com", password="x")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
