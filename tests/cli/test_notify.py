"""`notify test`: what came back from each receiver."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copy

import pytest
from redis import Redis

from app.cli.local.valkey import Valkey
from app.cli.main import main
from app.ledger.engine import open_engine
from app.ledger.upkeep import Upkeep
from app.operations.tell import gone_mark
from tests.notifications.receiver import SECRET, answering, receiving
from tests.operations import subscribing
from tests.operations.letters import migrated_file

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger without rows, to copy."""
    return migrated_file(tmp_path_factory.mktemp("notify"))


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    return f"sqlite:///{copy(migrated, tmp_path / 'ledger.db')}"


@pytest.fixture
def run(
    redis: Redis,
    valkey: Valkey,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `notify test` with these settings: its exit code, output and errors."""
    subscribing.forget()

    def call(*arguments: str, **settings: str) -> tuple[int, str, str]:
        for name in [name for name in os.environ if name not in ("PATH", "HOME")]:
            monkeypatch.delenv(name)
        given = {"REDIS_URL": valkey.url, "DATABASE_URL": database_url, **settings}
        if "NOTIFY_URL" in given:
            given = {"NOTIFY_SECRET": SECRET, "NOTIFY_ALLOW_PRIVATE": "1", **given}
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["identity", "notify", "test", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, *capsys.readouterr()

    return call


def test_each_receiver_gets_a_sample_and_its_answer_is_told(run: Run, redis: Redis) -> None:
    with receiving() as receiver:
        code, out, _ = run(
            NOTIFY_URL=receiver.url, SUBSCRIBER=subscribing.PATH, NOTIFY_STREAM="changes"
        )
    assert code == 0
    callback, *others = out.splitlines()
    assert callback.startswith("callback: 204 in 0.")
    assert others == ["subscriber: took it", "stream: took it"]
    (message,) = receiver.accepted
    assert message["data"]["client_reference_id"] == "notify-test"
    assert message["data"]["standing"]["version"] == 0
    assert subscribing.noted[0].client_reference_id == "notify-test"
    assert redis.xlen("changes") == 1


def test_one_that_does_not_take_it_makes_the_exit_code_1_and_the_others_are_tried(
    run: Run,
) -> None:
    subscribing.errors.append(ValueError("jenny@example.com"))
    with receiving(answering(500)) as receiver:
        code, out, err = run(
            NOTIFY_URL=receiver.url, SUBSCRIBER=subscribing.PATH, NOTIFY_STREAM="changes"
        )
    assert code == 1
    assert out.splitlines() == [
        "callback: the receiver answered 500",
        "subscriber: the subscriber raised ValueError",
        "stream: took it",
    ]
    assert "jenny" not in out + err


def test_json_is_an_object_for_each_receiver(run: Run) -> None:
    with receiving(answering(404)) as receiver:
        code, out, _ = run("--json", NOTIFY_URL=receiver.url, NOTIFY_STREAM="changes")
    assert code == 1
    assert [json.loads(line) for line in out.splitlines()] == [
        {"receiver": "callback", "took": False, "answer": "the receiver answered 404"},
        {"receiver": "stream", "took": True, "answer": "took it"},
    ]


def test_without_a_receiver_it_says_what_to_set(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "set NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM first" in err


def test_an_address_without_a_secret_is_a_setting_that_is_wrong(run: Run) -> None:
    code, out, err = run(NOTIFY_URL="https://hook.example/", NOTIFY_SECRET="")
    assert (code, out) == (2, "")
    assert "NOTIFY_SECRET is not set" in err


def test_a_subscriber_that_cannot_be_imported_is_a_setting_that_is_wrong(run: Run) -> None:
    code, _, err = run(SUBSCRIBER="team_absent:tell")
    assert code == 2
    assert "SUBSCRIBER team_absent:tell cannot be imported (no module team_absent)" in err


def test_a_private_address_is_told_of_with_the_way_out(run: Run) -> None:
    code, out, _ = run(NOTIFY_URL="http://127.0.0.1:9/", NOTIFY_ALLOW_PRIVATE="0")
    assert code == 1
    assert "set NOTIFY_ALLOW_PRIVATE=1 if it is meant" in out


def test_a_receiver_that_had_answered_410_is_told_again_once_it_takes_the_sample(
    run: Run, database_url: str
) -> None:
    engine = open_engine(database_url)
    upkeep = Upkeep(engine)
    with receiving(answering(410)) as receiver:
        mark = gone_mark(receiver.url)
        upkeep.set_mark(mark, "410", 1)
        code, out, _ = run(NOTIFY_URL=receiver.url)
        assert (code, upkeep.mark(mark)) == (1, "410")
        assert "the receiver answered 410" in out
        code, _, err = run(NOTIFY_URL=receiver.url)
        assert (code, upkeep.mark(mark)) == (0, "")
        assert "is told again" in err
    engine.dispose()
