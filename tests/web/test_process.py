"""`python -m app.web`: how it refuses to start, and how one or several processes end."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from app.web import __main__ as command_line
from tests.support.waiting import eventually
from tests.web.conftest import TOKEN
from tests.web.deliveries import SECRET, URL, event, signed
from tests.web.processes import (
    ROOT,
    command,
    environment,
    read_answer,
    request,
    running,
)

# Each starts processes: not on both cores at once.
PLANTED = "PLANTED-VALUE"


def test_settings_that_are_missing_or_wrong_are_all_named_and_the_exit_code_is_2() -> None:
    told = subprocess.run(
        command(),
        cwd=ROOT,
        env=environment(
            REDIS_URL=f"http://:{PLANTED}@host",
            STRIPE_API_KEY=PLANTED,
            PORT=PLANTED,
            API_TOKENS="PLANTED",  # too short
        ),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (told.returncode, told.stdout) == (2, "")
    lines = told.stderr.splitlines()
    assert [line.split()[0] for line in lines] == [
        "STRIPE_WEBHOOK_SECRET",
        "DATABASE_URL",
        "STRIPE_API_KEY",
        "REDIS_URL",
        "API_TOKENS",
        "PORT",
    ]
    assert "PLANTED" not in told.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_WEBHOOK_SECRET", ""),
        ("STRIPE_WEBHOOK_SECRET", "  "),
        ("STRIPE_WEBHOOK_SECRET", " , "),
        ("STRIPE_WEBHOOK_SECRET", f"{SECRET},{PLANTED}"),
        ("REDIS_URL", f"redis://:{PLANTED}@host:{PLANTED}"),
        ("DATABASE_URL", ""),
        ("DATABASE_URL", f"postgresql://user:{PLANTED}@host:{PLANTED}/identity"),
        ("DATABASE_URL", f"mysql://user:{PLANTED}@host/identity"),
        ("WEB_CONCURRENCY", "0"),
        ("LOG_FORMAT", PLANTED),
    ],
)
def test_one_wrong_setting_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    for known in ("REDIS_URL", "API_TOKENS", "STRIPE_API_KEY", "PORT", "DYNO"):
        monkeypatch.delenv(known, raising=False)
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(command_line, "serve", lambda *args: pytest.fail("it serves"))
    with pytest.raises(SystemExit) as end:
        command_line.main()
    assert end.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(name + " ")
    assert told.err.count("\n") == 1
    assert PLANTED not in told.err


def test_more_dripping_heads_than_files_do_not_stop_deliveries(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    few_files = ("sh", "-c", 'ulimit -n 200; exec "$@"', "sh")
    with running(tmp_path, *few_files, **environment) as web, ExitStack() as dripping:
        for number in range(400):
            connection = dripping.enter_context(web.connect())
            connection.sendall(b"GET / HTTP/1.1\r\na: ")
            if number % 50 == 0:  # one that comes early has room made for it as well
                assert web.answers()
        body = event()
        answer = web.exchange(request("POST", URL, body, *signed(body).items()))
        assert json.loads(answer.body) == {"outcome": "enqueued"}
        log = web.log.read_text()
    assert "too many connections: the longest idle are closed" in log


@pytest.mark.parametrize("concurrency", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_sigterm_to_every_process_lets_requests_finish(
    environment: dict[str, str], redis: Redis, tmp_path: Path, concurrency: int
) -> None:
    body = event()
    told = (*signed(body).items(), ("Expect", "100-continue"), ("Content-Length", str(len(body))))
    with running(tmp_path, **environment, WEB_CONCURRENCY=str(concurrency)) as web:
        asked = request("GET", "/v1/references/x", b"", ("Authorization", f"Bearer {TOKEN}"))
        assert web.exchange(asked).status == 404
        with web.connect() as idle, web.connect() as slow:
            slow.sendall(request("POST", URL, b"", *told))
            # It asks for the body: the request is under way.
            assert slow.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            slow.sendall(body[:-9])
            web.signal_all()
            assert idle.recv(1) == b""  # it has heard
            assert web.process.poll() is None
            slow.sendall(body[-9:])
            answer = read_answer(slow)
        assert json.loads(answer.body) == {"outcome": "enqueued"}
        assert web.process.wait(10) == 0
        eventually(web.is_gone)
        assert "Traceback" not in web.log.read_text()
    assert redis.llen("rq:queue:identity-events") == 1


@pytest.mark.slow
def test_sigterm_to_the_first_of_several_processes_ends_all(
    environment: dict[str, str], redis: Redis, tmp_path: Path
) -> None:
    with running(tmp_path, **environment, WEB_CONCURRENCY="2") as web:
        web.process.terminate()
        assert web.process.wait(10) == 0
        eventually(web.is_gone)


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 2])
def test_sigterm_again_and_again_until_the_end_changes_nothing(
    environment: dict[str, str], redis: Redis, tmp_path: Path, concurrency: int
) -> None:
    with running(tmp_path, **environment, WEB_CONCURRENCY=str(concurrency)) as web:
        while web.process.poll() is None:
            web.process.terminate()
            time.sleep(0.005)
        assert web.process.returncode == 0
        eventually(web.is_gone)
        assert "Traceback" not in web.log.read_text()
