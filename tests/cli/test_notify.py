"""`notify test`: what came back from each receiver."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from app.ledger.cursors import Cursors
from app.ledger.engine import open_engine
from app.local.valkey import Valkey
from app.notifications import callback
from app.operations.notify import gone_flag
from tests.notifications.receiver import SECRET, answering, receiving
from tests.operations import subscribing
from tests.support.cli import CommandResult, Run


@pytest.fixture
def environment(redis: Redis, valkey: Valkey, database_url: str) -> dict[str, str]:
    """An empty Redis, an empty ledger, and no receiver yet."""
    return {"REDIS_URL": valkey.url, "DATABASE_URL": database_url}


@pytest.fixture
def notify_test(run: Run) -> Run:
    """Runs `identity notify test` with the receivers that the settings name."""
    subscribing.forget()

    def call(*arguments: str, typed: str = "", **settings: str) -> CommandResult:
        if "NOTIFY_URL" in settings:
            settings = {"NOTIFY_SECRET": SECRET, "NOTIFY_ALLOW_PRIVATE": "1", **settings}
        return run("notify", "test", *arguments, typed=typed, **settings)

    return call


def test_each_receiver_gets_a_sample_and_its_answer_is_reported(
    notify_test: Run, redis: Redis
) -> None:
    with receiving() as receiver:
        code, out, _ = notify_test(
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


def test_a_receiver_that_is_reached_unencrypted_is_told_of(
    notify_test: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "is_public", lambda address: True)
    with receiving() as receiver:
        code, out, _ = notify_test(NOTIFY_URL=receiver.url)
    assert code == 0
    assert out.endswith(" s, unencrypted: use https://\n")


def test_one_that_does_not_take_it_makes_the_exit_code_1_and_the_others_are_tried(
    notify_test: Run,
) -> None:
    subscribing.errors.append(ValueError("jenny@example.com"))
    with receiving(answering(500)) as receiver:
        code, out, err = notify_test(
            NOTIFY_URL=receiver.url, SUBSCRIBER=subscribing.PATH, NOTIFY_STREAM="changes"
        )
    assert code == 1
    callback, raised, stream = out.splitlines()
    assert (callback, stream) == ("callback: the receiver answered 500", "stream: took it")
    assert raised.startswith(
        "subscriber: the subscriber raised ValueError in note (tests/operations/subscribing.py:"
    )
    assert "jenny" not in out + err


def test_json_is_an_object_for_each_receiver(notify_test: Run) -> None:
    with receiving(answering(404)) as receiver:
        code, out, _ = notify_test("--json", NOTIFY_URL=receiver.url, NOTIFY_STREAM="changes")
    assert code == 1
    assert [json.loads(line) for line in out.splitlines()] == [
        {"receiver": "callback", "took": False, "answer": "the receiver answered 404"},
        {"receiver": "stream", "took": True, "answer": "took it"},
    ]


def test_without_a_receiver_it_says_what_to_set(notify_test: Run) -> None:
    code, out, err = notify_test()
    assert (code, out) == (1, "")
    assert "set NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM first" in err


def test_an_address_without_a_secret_is_a_setting_that_is_wrong(notify_test: Run) -> None:
    code, out, err = notify_test(NOTIFY_URL="https://hook.example/", NOTIFY_SECRET="")
    assert (code, out) == (2, "")
    assert "NOTIFY_SECRET is not set" in err


def test_a_subscriber_that_cannot_be_imported_is_a_setting_that_is_wrong(notify_test: Run) -> None:
    code, _, err = notify_test(SUBSCRIBER="team_absent:tell")
    assert code == 2
    assert "SUBSCRIBER team_absent:tell cannot be imported (no module team_absent)" in err


def test_a_private_address_is_reported_with_the_setting_to_allow_it(notify_test: Run) -> None:
    code, out, _ = notify_test(NOTIFY_URL="http://127.0.0.1:9/", NOTIFY_ALLOW_PRIVATE="0")
    assert code == 1
    assert "set NOTIFY_ALLOW_PRIVATE=1 if it is meant" in out


def test_a_receiver_that_answered_410_is_notified_again_once_it_takes_the_sample(
    notify_test: Run, database_url: str
) -> None:
    engine = open_engine(database_url)
    cursors = Cursors(engine)
    with receiving(answering(410)) as receiver:
        flag = gone_flag(receiver.url)
        cursors.set(flag, "410", 1)
        code, out, _ = notify_test(NOTIFY_URL=receiver.url)
        assert (code, cursors.get(flag)) == (1, "410")
        assert "the receiver answered 410" in out
        code, _, err = notify_test(NOTIFY_URL=receiver.url)
        assert (code, cursors.get(flag)) == (0, "")
        assert "is told again" in err
    engine.dispose()
