"""No page of the console is left out of what the browser looks at."""

from __future__ import annotations

from app.configuration.settings import Settings
from app.web.main import create_app
from tests.console.pages import NO_PAGES, PAGES, paths
from tests.console.site import console_users
from tests.web.deliveries import SECRET


def test_every_page_is_looked_at(database_url: str) -> None:
    settings = {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "CONSOLE_USERS": console_users(),
    }
    application = create_app(Settings.from_environment(settings))
    found = {path for path in paths(application.routes) if not path.endswith(".json")}
    assert {path for path in found if path.startswith("/console")} == PAGES.keys() | NO_PAGES
