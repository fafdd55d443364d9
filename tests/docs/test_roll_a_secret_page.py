"""docs/how-to/roll-a-secret.md: while a secret is rolled both are good, and afterwards the new."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.ledger.engine import LedgerUnavailable, open_engine
from app.ledger.ledger import Ledger
from app.local.valkey import Valkey
from app.notifications.addresses import ReceiverUnavailable
from app.notifications.callback import Callback
from app.queue.connection import open_redis
from app.web.main import create_app
from tests.docs.pages import DOCS, Block, section, section_blocks
from tests.notifications.receiver import CHANGED, OLD_SECRET, SECRET, receiving
from tests.support.postgres import Postgres, postgres_server
from tests.support.shell import run
from tests.web.deliveries import URL, event, header, signature

PAGE = DOCS / "how-to/roll-a-secret.md"
OLD, NEW = "whsec_old", "whsec_new"
OLD_TOKEN, NEW_TOKEN = secrets.token_urlsafe(32), secrets.token_urlsafe(32)


def steps(heading: str, variable: str) -> list[Block]:
    """The steps that set the variable: both secrets, and then the new one alone."""
    found = [one for one in section_blocks(PAGE, heading, "sh") if one.text.startswith(variable)]
    assert len(found) == 2
    return found


@pytest.fixture
def environment(redis: Redis, valkey: Valkey, database_url: str) -> dict[str, str]:
    """Of a web process; secrets are added."""
    return {
        "STRIPE_WEBHOOK_SECRET": f"live:{OLD}",
        "API_TOKENS": f"backend:{OLD_TOKEN}:read+write",
        "REDIS_URL": valkey.url,
        "DURABILITY": "memory",
        "DATABASE_URL": database_url,
    }


@contextmanager
def web(environment: dict[str, str]) -> Iterator[TestClient]:
    """The web application, started with these settings."""
    with TestClient(create_app(Settings.from_environment(environment))) as client:
        yield client


def after(
    step: Block, environment: dict[str, str], folder: Path, old: str, new: str
) -> dict[str, str]:
    """The environment once the step is done."""
    return environment | dict(run(step, {"OLD": old, "NEW": new}, folder).variables)


def status(client: TestClient, id: str, *signing: str) -> int:
    """What a live delivery is answered that is signed by these secrets."""
    body = event(id, livemode=True)
    signed = header(body, signing[0]) + "".join(
        f",v1={signature(body, one)}" for one in signing[1:]
    )
    answer = client.post(URL, content=body, headers={"Stripe-Signature": signed})
    return int(answer.status_code)


def test_no_delivery_is_refused_while_the_signing_secret_is_rolled(
    environment: dict[str, str], tmp_path: Path
) -> None:
    both, new = steps("The signing secret of Stripe's endpoint", "STRIPE_WEBHOOK_SECRET")
    with web(environment) as client:  # rolled at Stripe, which signs by both
        assert status(client, "evt_1", NEW, OLD) == 200
    with web(after(both, environment, tmp_path, OLD, NEW)) as client:
        assert [status(client, f"evt_2{one}", one) for one in (OLD, NEW)] == [200, 200]
        assert status(client, "evt_3", NEW, OLD) == 200
    with web(after(new, environment, tmp_path, OLD, NEW)) as client:
        assert status(client, "evt_4", NEW) == 200
        assert status(client, "evt_5", OLD) == 400


def test_both_tokens_are_good_while_one_is_rolled(
    environment: dict[str, str], tmp_path: Path
) -> None:
    both, new = steps("An API token", "API_TOKENS")

    def statuses(settings: dict[str, str]) -> list[int]:
        with web(settings) as client:
            return [
                client.get(
                    "/v1/references/user-1", headers={"Authorization": f"Bearer {token}"}
                ).status_code
                for token in (OLD_TOKEN, NEW_TOKEN)
            ]

    assert statuses(environment) == [404, 401]
    assert statuses(after(both, environment, tmp_path, OLD_TOKEN, NEW_TOKEN)) == [404, 404]
    assert statuses(after(new, environment, tmp_path, OLD_TOKEN, NEW_TOKEN)) == [401, 404]


def test_a_receiver_may_change_its_secret_while_both_sign(
    environment: dict[str, str], tmp_path: Path
) -> None:
    both, new = steps("NOTIFY_SECRET", "NOTIFY_SECRET")

    def accepted(step: Block, known: str) -> int:
        with receiving(secrets=(known,)) as receiver:
            address = {"NOTIFY_URL": receiver.url, "NOTIFY_ALLOW_PRIVATE": "1"}
            settings = Settings.from_environment(
                after(step, environment | address, tmp_path, OLD_SECRET, SECRET)
            )
            Callback(receiver.url, list(settings.notify_secrets), True, time.time).send(CHANGED)
        return len(receiver.accepted)

    assert [accepted(both, known) for known in (OLD_SECRET, SECRET)] == [1, 1]
    assert accepted(new, SECRET) == 1
    with pytest.raises(ReceiverUnavailable, match="answered 401"):
        accepted(new, OLD_SECRET)


@pytest.mark.parametrize(
    ("heading", "variable", "before"),
    [("An API token", "API_TOKENS", "backend:"), ("NOTIFY_SECRET", "NOTIFY_SECRET", "")],
)
def test_what_makes_a_secret_makes_one_that_is_taken(
    environment: dict[str, str], tmp_path: Path, heading: str, variable: str, before: str
) -> None:
    maker = next(one for one in section_blocks(PAGE, heading, "sh") if "secrets" in one.text)
    made = [run(maker, {}, tmp_path).out.strip() for _ in range(2)]
    assert made[0] != made[1]
    Settings.from_environment(environment | {variable: before + made[0]})


def test_redis_takes_both_passwords_while_one_is_rolled(tmp_path: Path) -> None:
    add, remove = (
        block.text.strip() for block in section_blocks(PAGE, "The password of Redis", "text")
    )
    kill = re.findall(r"`(CLIENT KILL [^`]+)`", section(PAGE, "The password of Redis"))
    with Valkey(tmp_path / "valkey", fsync="no") as server, open_redis(server.url) as admin:
        admin.config_set("requirepass", "old-password")

        def enter(password: str) -> Redis:
            client = open_redis(server.url.replace("://", f"://:{password}@"))
            client.ping()
            return client

        with enter("old-password") as web, enter("old-password") as operator:
            operator.execute_command(*add.replace("NEW", "new-password").split())
            enter("old-password").close()
            enter("new-password").close()
            operator.execute_command(*remove.replace("OLD", "old-password").split())
            with pytest.raises(AuthenticationError):
                enter("old-password")
            assert web.ping()  # what is open stays
        with enter("new-password") as operator:
            (killing,) = kill
            operator.execute_command(*killing.split())
            assert operator.ping()


def url_by(server: Postgres, password: str) -> str:
    """The DATABASE_URL of the product's user with this password."""
    return server.url().replace("postgres@", f"identity:{password}@")


@contextmanager
def ledger_by(server: Postgres, password: str) -> Iterator[Ledger]:
    """A ledger that connects with this password at its first use."""
    engine = open_engine(url_by(server, password))
    yield Ledger(engine)
    engine.dispose()


@pytest.mark.slow
def test_deliveries_and_open_connections_outlive_the_password_of_postgresql(
    environment: dict[str, str],
) -> None:
    with postgres_server() as server:
        rules = server.directory / "data" / "pg_hba.conf"
        rules.write_text(f"local all identity scram-sha-256\n{rules.read_text()}")
        with psycopg.connect(server.url(), autocommit=True) as operator:
            operator.execute("SELECT pg_reload_conf()")
            operator.execute("CREATE ROLE identity LOGIN PASSWORD 'old' IN ROLE pg_read_all_data")

            with ledger_by(server, "old") as was_open:
                was_open.ping()
                operator.execute("ALTER ROLE identity PASSWORD 'new'")
                was_open.ping()
            with ledger_by(server, "new") as opened:
                opened.ping()
            with ledger_by(server, "old") as opened, pytest.raises(LedgerUnavailable):
                opened.ping()
        with web(environment | {"DATABASE_URL": url_by(server, "old")}) as client:
            assert status(client, "evt_6", OLD) == 200
