"""The console's people in a test, and a browser for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from argon2 import PasswordHasher
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.web.console.sessions import COOKIE
from app.web.main import create_app

PASSWORD = "correct horse battery"
# As cheap as argon2 can be: a test signs in often.
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
PEOPLE = {"reader": "read", "operator": "operate", "redactor": "redact"}
CONSOLE_USERS = "\n".join(f"{name}:{role}:{HASH}" for name, role in PEOPLE.items())
# What a browser says of a form that a page of the same site posts.
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
ADDRESS = "https://console.test"


@dataclass
class Browser:
    """A person's browser, signed in or not, which follows no redirect."""

    client: TestClient
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=lambda: dict(OWN_PAGE))

    def get(self, path: str, **headers: str) -> Any:
        """What a page answers. `if_none_match=…` is the header If-None-Match."""
        return self.client.get(path, headers=self._headers(headers))

    def post(self, path: str, **fields: Any) -> Any:
        """What posting a form answers."""
        return self.client.post(path, data=fields, headers=self._headers({}))

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        cookie = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        return {**self.headers, **cookie, **named}


@contextmanager
def opened_console(environment: dict[str, str], **more: str) -> Iterator[TestClient]:
    """The web application with a console for PEOPLE."""
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS, **more})
    app = create_app(settings)
    with TestClient(app, base_url=ADDRESS, follow_redirects=False) as client:
        yield client


def signed_in(client: TestClient, name: str) -> Browser:
    """The browser of one of PEOPLE."""
    fields = {"name": name, "password": PASSWORD}
    answer = client.post("/console/sign-in", data=fields, headers=OWN_PAGE)
    assert answer.status_code == 303, answer.text
    cookie = answer.cookies[COOKIE]
    client.cookies.clear()
    return Browser(client, cookie)
