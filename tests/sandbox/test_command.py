"""`python -m deploy.sandbox` from outside: how it starts, ends and remembers."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from stripe import WebhookSignature

from deploy.sandbox.__main__ import main
from tests.sandbox.processes import ROOT, Sandbox, command, receiving, running
from tests.support.waiting import eventually

# Each starts processes: not on both cores at once.


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "/_sandbox/chaos" in capsys.readouterr().out


def test_a_port_in_use_is_one_line_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = subprocess.run(
            command("--port", str(taken.getsockname()[1])),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
    assert "in use" in answer.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "http"],
        ["--port", "65536"],
        ["--webhook", "example.com"],
        ["--secret", "whsec_1"],
        ["--webhook", "http://127.0.0.1/", "--secret", "1"],
        ["--nonsense"],
    ],
)
def test_bad_arguments_are_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quickly_and_cleanly(number: signal.Signals) -> None:
    with running() as sandbox:
        sandbox.control("GET", "/clock")
        sandbox.process.send_signal(number)
        assert sandbox.process.wait(5) == 0


def test_a_webhook_given_at_the_start_gets_events_of_both_modes_and_a_made_up_secret() -> None:
    with receiving() as receiver, running("--webhook", receiver.url) as sandbox:
        assert sandbox.process.stdout is not None
        assert "whsec_" in sandbox.process.stdout.readline()
        for key in ("sk_test_1", "sk_live_1"):
            sandbox.client(key).v1.identity.verification_sessions.create({"type": "document"})
        assert {event["livemode"] for event in receiver.events(2)} == {True, False}


def test_a_secret_of_the_environment_is_used_and_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SANDBOX_WEBHOOK_SECRET", "whsec_environment")
    with receiving() as receiver, running("--webhook", receiver.url) as sandbox:
        sandbox.client().v1.identity.verification_sessions.create({"type": "document"})
        receiver.events(1)
        (delivery,) = receiver.received
        WebhookSignature.verify_header(
            delivery.body.decode(), delivery.signature, "whsec_environment"
        )
        assert sandbox.stop() == 0
        assert sandbox.process.stdout is not None
        assert sandbox.process.stdout.read() == ""


def test_a_wrong_secret_of_the_environment_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDBOX_WEBHOOK_SECRET", "PLANTED")
    with pytest.raises(SystemExit) as stop:
        main(["--port", "0"])
    assert stop.value.code == 2
    written = capsys.readouterr().err
    assert "SANDBOX_WEBHOOK_SECRET" in written
    assert "PLANTED" not in written


def test_the_same_seed_makes_the_same_ids() -> None:
    def first(sandbox: Sandbox) -> str:
        sessions = sandbox.client().v1.identity.verification_sessions
        return sessions.create({"type": "document"}).id

    with running("--seed", "1") as one, running("--seed", "1") as same:
        assert first(one) == first(same)


def test_a_state_file_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with receiving() as receiver:
        options = ("--state", str(path), "--webhook", receiver.url, "--secret", "whsec_1")
        with running(*options, "--seed", "1") as sandbox:
            client = sandbox.client()
            session = client.v1.identity.verification_sessions.create({"type": "document"})
            receiver.events(1)
            sandbox.submit(session.id, "verified", delay=60)
            eventually(path.exists)
            receiver.events(2)
            receiver.statuses[:] = [500] * 1000
            canceled = client.v1.identity.verification_sessions.create({"type": "document"})
            client.v1.identity.verification_sessions.cancel(canceled.id)
            assert sandbox.stop() == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        receiver.received.clear()
        receiver.statuses.clear()
        with running(*options, "--seed", "1") as sandbox:
            sandbox.control("POST", "/clock", {"advance": 61})
            assert sandbox.truth(session.id)["status"] == "verified"
            client = sandbox.client()
            assert len(client.v1.events.list({"limit": 100}).data) == 5
            assert len(client.v1.webhook_endpoints.list().data) == 1
            # What was not delivered before the restart is delivered after it.
            eventually(
                lambda: (
                    {
                        "identity.verification_session.created",
                        "identity.verification_session.canceled",
                        "identity.verification_session.verified",
                    }
                    <= {received.event["type"] for received in receiver.received}
                )
            )
            assert sandbox.stop() == 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2}', '{"version": 1}'])
def test_an_unreadable_state_file_is_one_line_and_exit_code_1(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    assert main(["--port", "0", "--state", str(path)]) == 1
    written = capsys.readouterr()
    assert (written.out, written.err.count("\n")) == ("", 1)
    assert str(path) in written.err
    assert path.read_text() == text
