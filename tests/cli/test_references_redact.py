"""`identity references redact`: asks, has it done, and says what happens next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from app.cli.local.valkey import Valkey, free_port
from app.cli.references import references
from app.domain.errors import Misconfigured
from tests.operations.letters import House, letter, migrated_file, opened_house


@pytest.fixture
def house(redis: Redis, valkey: Valkey, tmp_path: Path) -> Iterator[House]:
    with opened_house(valkey.url, migrated_file(tmp_path), tmp_path) as house:
        house.apply(letter("evt_1", session="vs_1"))
        yield house


@pytest.fixture
def environment(house: House, valkey: Valkey) -> dict[str, str]:
    return {
        "REDIS_URL": valkey.url,
        "DATABASE_URL": house.database_url,
        "STRIPE_API_KEY": "sk_test_1",
    }


def redact(environment: dict[str, str], *arguments: str, typed: str = "", **options: Any) -> Result:
    return CliRunner(env=environment).invoke(
        references, ["redact", *arguments], input=typed, **options
    )


def test_it_asks_and_queues_and_tells_what_comes_next(
    house: House, environment: dict[str, str]
) -> None:
    ran = redact(environment, "user-1", typed="y\n")
    assert ran.exit_code == 0, ran.output
    assert "1 session" in ran.stderr and "test mode" in ran.stderr
    assert "vs_1  verified  asked" in ran.stdout
    assert "four days" in ran.stdout
    assert house.context.effects.counts()["queued"] == 1


def test_no_means_no(house: House, environment: dict[str, str]) -> None:
    for typed in ("n\n", ""):
        assert redact(environment, "user-1", typed=typed).exit_code == 1
    assert house.context.effects.counts()["queued"] == 0


def test_json_is_what_http_answers(house: House, environment: dict[str, str]) -> None:
    ran = redact(environment, "user-1", "--yes", "--json")
    assert json.loads(ran.stdout) == {
        "client_reference_id": "user-1",
        "sessions": [{"id": "vs_1", "status": "verified", "redaction": "asked"}],
    }


def test_what_is_redacted_already_needs_no_question(
    house: House, environment: dict[str, str]
) -> None:
    house.apply(letter("evt_2", session="vs_1", redaction="redacted", at=1))
    ran = redact(environment, "user-1")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "Nothing to do" in ran.stdout


@pytest.mark.parametrize("arguments", [("nobody",), ("user-1", "--account", "acct_1"), ("a\0",)])
def test_a_reference_never_seen_is_told(
    house: House, environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    ran = redact(environment, *arguments, "--yes")
    assert ran.exit_code == 1
    assert "no session of this client_reference_id is known in test mode" in ran.stderr


def test_without_redis_it_waits_in_the_ledger(house: House, environment: dict[str, str]) -> None:
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    assert redact(environment | away, "user-1", "--yes").exit_code == 0
    assert [row.kind for row in house.ledger.effects_due_unsent(4_000_000_000, 9)] == ["redact"]


def test_without_an_api_key_nothing_is_promised(house: House, environment: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="STRIPE_API_KEY"):
        redact(environment | {"STRIPE_API_KEY": ""}, "user-1", "--yes", catch_exceptions=False)
    assert list(house.ledger.effects_due_unsent(4_000_000_000, 9)) == []
