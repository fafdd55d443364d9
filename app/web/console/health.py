"""What the doctor says of this deployment: the last examination, and a button for the next."""

from __future__ import annotations

import os
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from app.doctor.kept import Examinations
from app.doctor.result import as_json
from app.web.console.console import Console
from app.web.console.forms import Form
from app.web.console.page import action, page
from app.web.console.people import Person, Role
from app.web.console.views import Done, View

UNKNOWN: dict[str, Any] = {"state": "unknown", "checks": []}
TITLES = {
    "ok": "nothing is wrong",
    "warning": "there are warnings",
    "wrong": "something is wrong",
    "unknown": "not examined yet",
}
KINDS = {"ok": "ok", "warning": "warn", "wrong": "bad", "unknown": "off"}


def routes(console: Console) -> list[Route]:
    """The page, and what examines the deployment anew."""
    health = Health(console)
    return [
        action(console, "/health/examine", "doctor", health.examine, role=Role.OPERATE),
        *page(console, "/health", health.read),
    ]


class Health:
    """The last examination, for all who look. It asks Stripe, so that only a button starts one."""

    def __init__(self, console: Console) -> None:
        """The environment of this process is what is examined."""
        self._examinations = Examinations(console.stores.redis, os.environ, console.now)

    def read(self, request: Request) -> View:
        """The last examination, as `doctor --json` gives it; `unknown` if there is none."""
        last = self._examinations.last()
        found = UNKNOWN if last is None else as_json(last.findings)
        extra = {"at": None if last is None else last.at, "kinds": KINDS, "titles": TITLES}
        return View("health.html", f"Health: {TITLES[found['state']]}", found, extra)

    def examine(self, request: Request, form: Form, person: Person) -> Done:
        """Examine the deployment, unless somebody has in the last seconds."""
        self._examinations.run()
        return Done("/console/health", {})
