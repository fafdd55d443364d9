"""The console in processes: alone, left out, and with open streams at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from starlette.applications import Starlette
from structlog.testing import capture_logs
from uvicorn import Config, Server

from app.configuration.settings import Settings
from app.local.valkey import free_port
from app.web import __main__ as command_line
from app.web.console import sign_in
from app.web.console.console import Console
from app.web.console.routes import ConsoleRoutes
from app.web.console.sessions import COOKIE
from app.web.protocol import BoundedHttpProtocol
from tests.support.cli import ROOT
from tests.web.console import probe
from tests.web.console.browser import CONSOLE_USERS
from tests.web.deliveries import SECRET, URL
from tests.web.processes import environment as clean
from tests.web.processes import request, running

PROBE = """
import sys, os
from app.configuration.settings import Settings
from app.web.main import create_app
create_app(Settings.from_environment(os.environ))
print(sorted({"jinja2", "argon2", "itsdangerous", "app.web.console"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("switch", "imported"), [("0", False), ("", True)])
def test_where_it_is_off_nothing_of_it_is_imported(
    environment: dict[str, str], switch: str, imported: bool
) -> None:
    settings = {**environment, "CONSOLE_USERS": CONSOLE_USERS, "CONSOLE": switch}
    told = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=ROOT,
        env=clean(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ("jinja2" in told.stdout, "argon2" in told.stdout) == (imported, imported)
    assert ("app.web.console" in told.stdout) == imported


def test_a_process_of_its_own_serves_the_console_and_nothing_else(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    settings = {**environment, "CONSOLE_USERS": CONSOLE_USERS, "STRIPE_WEBHOOK_SECRET": ""}
    alone = ("sh", "-c", 'exec "$@" --only console', "sh")
    with running(tmp_path, *alone, **settings) as web:
        answers = {
            path: web.exchange(request("GET", path))
            for path in ("/console/sign-in", "/healthz", "/v1/references/x", "/metrics", "/readyz")
        }
        delivery = web.exchange(request("POST", URL, b"{}"))
        log = web.log.read_text()
    statuses = {path: answer.status for path, answer in answers.items()}
    assert statuses == {
        "/console/sign-in": 200,
        "/healthz": 200,
        "/v1/references/x": 404,
        "/metrics": 404,
        "/readyz": 404,
    }
    assert delivery.status == 404
    assert "x-request-id" in answers["/console/sign-in"].headers
    assert "starting the console" in log


@pytest.mark.parametrize("arguments", [("--only", "console"), ("--only=console",)])
def test_without_people_a_process_of_its_own_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    for name in [name for name in os.environ if name.startswith("CONSOLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    with pytest.raises(SystemExit) as end:
        command_line.main(arguments)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told == "CONSOLE_USERS is not set, or CONSOLE is 0: there is no console to serve\n"


def test_what_else_only_may_be_followed_by_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("--only",), ("--only", "intake"), ("--only", "console", "x")):
        with pytest.raises(SystemExit) as end:
            command_line.main(arguments)
        assert end.value.code == 2
        assert "--help, --version and --only console" in capsys.readouterr().err


def test_the_line_at_the_start_says_who_may_sign_in_and_no_hash() -> None:
    settings = Settings.from_environment(
        {"CONSOLE_USERS": CONSOLE_USERS, "STRIPE_WEBHOOK_SECRET": SECRET}
    )
    with capture_logs() as lines:
        command_line.say_console_starts(settings)
        command_line.say_what_starts(settings)
    assert lines[0]["people"] == ["reader", "operator", "redactor"]
    assert "argon2" not in str(lines)
    assert not any("console" in feature for feature in lines[1]["off"])


async def stopped_with_an_open_stream(app: Starlette, cookie: str) -> tuple[bytes, float]:
    """What a stream has given until the server stopped, and how long that took."""
    port = free_port()
    config = Config(
        app,
        host="127.0.0.1",
        port=port,
        http=BoundedHttpProtocol,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=20,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = request("GET", "/console/probe-live", b"", ("Cookie", f"{COOKIE}={cookie}"))
    writer.write(asked)
    head = await reader.readuntil(b"data: reader\n\n")
    begun = time.monotonic()
    server.should_exit = True
    rest = await reader.read()
    await serving
    writer.close()
    return head + rest, time.monotonic() - begun


def test_a_server_that_stops_ends_its_streams(environment: dict[str, str], redis: Redis) -> None:
    settings = Settings.from_environment({**environment, "CONSOLE_USERS": CONSOLE_USERS})
    console = Console.of(settings, now=time.time)
    app = Starlette(routes=[ConsoleRoutes(console, (sign_in, probe))])
    cookie = console.people.sessions.cookie_of("reader")
    came, seconds = asyncio.run(stopped_with_an_open_stream(app, cookie))
    console.stores.close()
    assert came.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"text/event-stream" in came
    assert came.endswith(b"0\r\n\r\n")
    assert seconds < 2


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", ["1", "2"])
def test_sigterm_ends_a_process_with_viewers_within_two_seconds(
    environment: dict[str, str], redis: Redis, tmp_path: Path, concurrency: str
) -> None:
    settings = {**environment, "CONSOLE_USERS": CONSOLE_USERS, "WEB_CONCURRENCY": concurrency}
    people = Console.of(Settings.from_environment(settings), now=time.time).people
    cookie = ("Cookie", f"{COOKIE}={people.sessions.cookie_of('reader')}")
    with running(tmp_path, **settings) as web, ExitStack() as viewers:
        for _ in range(10):
            viewer = viewers.enter_context(web.connect())
            viewer.sendall(request("GET", "/console/live", b"", cookie))
            came = b""
            while b"event: overview" not in came:
                came += viewer.recv(4096)
            assert came.startswith(b"HTTP/1.1 200 OK\r\n")
        begun = time.monotonic()
        web.signal_all()
        assert web.process.wait(10) in (0, -signal.SIGTERM)
        assert time.monotonic() - begun < 2
        assert "Traceback" not in web.log.read_text()
