"""`python -m app dev`: starts, prints what to try, stops, and finds its data again."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.support.cli import Run, command_runner, processes_in
from tests.support.dev import dev, do, free_ports, told_commands
from tests.support.events import event_body
from tests.support.waiting import eventually
from tests.web.deliveries import signed


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `identity` in this process, with no settings."""
    return command_runner({}, monkeypatch, capsys)


@pytest.mark.slow
def test_the_printed_commands_work_and_the_next_start_finds_the_data_again(tmp_path: Path) -> None:
    folder, ports = tmp_path / "data", free_ports()
    with dev(folder, *ports) as first:
        told = first.up().text
        for port in ports[1::2]:
            assert f"://127.0.0.1:{port}" in told
        create, submit, read = told_commands(told)
        session = do(create).json()
        assert session["client_reference_id"] == "user_1"
        assert do(submit, vs=session["id"]).ok
        eventually(lambda: stands(do(read)) == "verified", 30)
        assert "Users are being verified" in first_page_of_the_console(told, folder)
        secrets = (folder / "secrets.json").read_text("utf-8")
        assert_kept_to_the_owner(folder, json.loads(secrets).values(), told)
        # An impatient person: what stops in order goes on stopping.
        assert first.stop(signal.SIGINT, signal.SIGINT, signal.SIGINT) == 0
    assert "Traceback" not in first.text
    assert f"Data stays in {folder}" in first.text
    assert processes_in(folder) == []

    with dev(folder, *ports) as second:
        told = second.up().text
        assert (folder / "secrets.json").read_text("utf-8") == secrets
        assert stands(do(read)) == "verified"
        # All of it works on, the queue as well.
        another = do(for_user_2(create)).json()
        assert do(submit, vs=another["id"]).ok
        eventually(lambda: stands(do(for_user_2(read))) == "verified", 30)
        assert second.stop(signal.SIGTERM) == 0
    assert processes_in(folder) == []


def first_page_of_the_console(told: str, folder: Path) -> str:
    """The title of what one sees who signs in as the printed lines say."""
    found = re.search(r"console +(http\S+/console/) +name: (\S+); password: in (\S+)", told)
    assert found is not None
    address, name, file = found.groups()
    assert Path(file).parent == folder
    with requests.Session() as browser:
        browser.headers["Sec-Fetch-Site"] = "same-origin"
        fields = {"name": name, "password": Path(file).read_text("utf-8").strip()}
        page = browser.post(address + "sign-in", fields, timeout=10)
    return page.text.partition("</title>")[0]


def assert_kept_to_the_owner(folder: Path, secrets: Iterable[str], told: str) -> None:
    """No other user of the machine can read what is kept, nor a secret on a command line."""
    open_to_others = [each for each in (folder, *folder.rglob("*")) if each.stat().st_mode & 0o077]
    assert open_to_others == []
    lines = [told]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    assert any("deploy.sandbox" in line and str(folder) in line for line in lines)
    assert [(secret, line) for secret in secrets for line in lines if secret in line] == []


def for_user_2(command: list[str]) -> list[str]:
    return [word.replace("user_1", "user_2") for word in command]


def stands(answer: requests.Response) -> str | None:
    return answer.json()["standing"]["status"] if answer.ok else None


@pytest.mark.parametrize(
    "busy",
    [
        "--port",
        pytest.param("--sandbox-port", marks=pytest.mark.slow),
        pytest.param("--valkey-port", marks=pytest.mark.slow),
    ],
)
def test_a_busy_port_that_was_asked_for_is_named_in_one_line(tmp_path: Path, busy: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        with dev(tmp_path, *free_ports(), busy, taken) as running:
            assert running.process.wait(60) == 1
    (line,) = running.text.splitlines()
    assert taken in line
    assert processes_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("ports", ["the same", "others"])
def test_a_second_start_does_not_touch_the_first_ones_data(tmp_path: Path, ports: str) -> None:
    taken = free_ports()
    with dev(tmp_path, *taken) as first:
        first.up()
        before = sorted(file.name for file in (tmp_path / "valkey").rglob("*"))
        other = taken if ports == "the same" else free_ports()
        with dev(tmp_path, *other) as second:
            assert second.process.wait(60) == 1
        assert len(second.text.splitlines()) == 1
        assert sorted(file.name for file in (tmp_path / "valkey").rglob("*")) == before
        assert first.stop(signal.SIGINT) == 0


def test_a_wrong_secret_of_ones_own_is_named(tmp_path: Path, run: Run) -> None:
    ran = run("dev", "--folder", str(tmp_path), STRIPE_WEBHOOK_SECRET="nonsense")
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith("STRIPE_WEBHOOK_SECRET")
    assert "nonsense" not in line


@pytest.mark.slow
def test_beside_stripe_listen_there_is_no_sandbox_to_ask(tmp_path: Path, run: Run) -> None:
    ports, secret = free_ports(), "whsec_listen"
    with dev(tmp_path, *ports, STRIPE_WEBHOOK_SECRET=secret) as running:
        told = running.up().text
        assert "not asked: no STRIPE_API_KEY" in told
        body = json.dumps(event_body("processing", "processing", reference="user_1")).encode()
        url = f"http://127.0.0.1:{ports[1]}/webhooks/stripe"
        assert requests.post(url, data=body, headers=signed(body, secret), timeout=30).ok
        (read,) = told_commands(told)
        eventually(lambda: stands(do(read)) == "processing", 30)
        assert not [line for line in processes_in(tmp_path) if "deploy.sandbox" in line]
        # What beside it is ours to tell; the person's own secrets are on no disk.
        assert f"dev --folder {tmp_path}/stripe-account env" in told
        told_settings = run("dev", "env", "--folder", str(tmp_path))
        assert f"API=http://127.0.0.1:{ports[1]}\n" in told_settings.out
        assert "STRIPE" not in told_settings.out
        assert "set STRIPE_WEBHOOK_SECRET and STRIPE_API_KEY" in told_settings.err
        assert secret not in "".join(each.read_text() for each in tmp_path.rglob("*.json"))
        acted = run("dev", "trigger", "verified", "--folder", str(tmp_path))
        assert (acted.code, acted.out) == (1, "")
        assert "your account at Stripe" in acted.err
        assert running.stop(signal.SIGINT) == 0


def test_a_live_key_is_not_taken_beside_stripe_listen(tmp_path: Path, run: Run) -> None:
    own = {"STRIPE_WEBHOOK_SECRET": "whsec_listen", "STRIPE_API_KEY": "sk_live_123"}
    ran = run("dev", "--folder", str(tmp_path), **own)
    assert ran.code == 2
    assert "live key" in ran.err
    assert "sk_live" not in ran.err


def test_a_folder_of_an_earlier_dev_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("unreadable")
    tmp_path.chmod(0o755)
    with dev(tmp_path, *free_ports()) as running:
        assert running.process.wait(60) == 2
    assert "secrets.json" in running.text
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_not_devs_own_stays_open_to_those_who_use_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        dev(tmp_path, *free_ports(), "--port", str(other.getsockname()[1])) as running,
    ):
        assert running.process.wait(60) == 1
    assert tmp_path.stat().st_mode & 0o077 == 0o055
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0
