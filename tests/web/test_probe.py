"""`python -m app.web.probe`: the health check of a container."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest

from app.local.valkey import free_port
from app.web import probe
from tests.support.cli import ROOT
from tests.support.http_server import serving


class Healthy(BaseHTTPRequestHandler):
    """Answers its one path."""

    status = 200

    def do_GET(self) -> None:
        """200 for /healthz, 404 for all else."""
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()


class Broken(Healthy):
    """Has a fault."""

    status = 500


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1"])
def test_a_web_process_that_answers_is_healthy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Healthy) as url:
        monkeypatch.setenv("HOST", host)
        monkeypatch.setenv("PORT", str(urlsplit(url).port))
        assert probe.main() == 0


def test_one_that_answers_with_a_fault_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Broken) as url:
        monkeypatch.setenv("PORT", str(urlsplit(url).port))
        assert probe.main() == 1
    assert capsys.readouterr().err == "web answers 500 to GET /healthz\n"


def test_one_that_is_not_there_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    assert probe.main() == 1
    assert capsys.readouterr().err.startswith(f"web does not answer at 127.0.0.1:{port}: ")


def test_it_imports_nothing_that_takes_time() -> None:
    script = "import sys, app.web.probe; print(*sorted(m for m in sys.modules if m[:3] == 'app'))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["app", "app.web", "app.web.probe"]
