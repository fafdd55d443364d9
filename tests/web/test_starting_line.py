"""What web says when it starts: where it listens, what it takes, what is off."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis
from structlog.testing import capture_logs

from app.configuration.settings import Settings
from app.web.__main__ import say_what_starts
from tests.web.processes import Web

PLANTED = "PLANTED0123456789"


def said(**environment: str) -> dict[str, Any]:
    with capture_logs() as lines:
        say_what_starts(Settings.from_environment(environment))
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("web starting", "info")
    assert "PLANTED" not in str(line)
    return dict(line)


def test_it_says_where_it_listens_and_which_modes_it_takes() -> None:
    line = said(
        STRIPE_WEBHOOK_SECRET=f"whsec_{PLANTED}a,live:whsec_{PLANTED}b,test:whsec_{PLANTED}c",
        STRIPE_API_KEY=f"rk_live_{PLANTED}",
        API_TOKENS=f"backend:{PLANTED}",
        PORT="8080",
        WEB_CONCURRENCY="2",
    )
    assert (line["address"], line["process_count"]) == ("0.0.0.0:8080", 2)
    assert line["webhook_path"] == "/webhooks/stripe"
    assert line["signing_secret_modes"] == ["both", "live", "test"]
    assert (line["stripe_key_mode"], line["api_token_names"]) == ("live", ["backend"])


def test_it_says_what_is_off_by_the_variable_that_switches_it_on() -> None:
    off = " ".join(said(STRIPE_WEBHOOK_SECRET="whsec_1")["off"])
    for variable in ("API_TOKENS", "STRIPE_API_KEY", "NOTIFY_URL", "REDACT_AFTER_DAYS"):
        assert variable in off
    on = said(STRIPE_WEBHOOK_SECRET="whsec_1", API_TOKENS=PLANTED, STRIPE_API_KEY="sk_test_1")
    assert not any("API_TOKENS" in each or "STRIPE_API_KEY" in each for each in on["off"])


def test_a_process_says_it_first_and_once(web: Web, redis: Redis) -> None:
    lines = [json.loads(line) for line in web.log.read_text().splitlines()]
    assert lines[0]["event"] == "web starting"
    assert lines[0]["address"] == f"127.0.0.1:{web.port}"
    assert [line["event"] for line in lines].count("web starting") == 1
