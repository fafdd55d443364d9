"""`deploy/valkey/users.acl`: the product works under it, and each user is held to its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry
from starlette.testclient import TestClient

from app.configuration.settings import Settings
from app.doctor.runner import examine
from app.local.valkey import free_port
from app.operations.overview.overview import Overview
from app.queue.model import EVENTS
from app.queue.transitions import JobQueue
from app.stores import opened_stores
from app.web.main import create_app
from tests.support.cli import ROOT
from tests.support.deployment import letter
from tests.support.events import event_body
from tests.support.servers import SERVERS, USUAL, program
from tests.support.waiting import eventually
from tests.web.conftest import TOKEN
from tests.web.deliveries import SECRET, URL, signed

ACL = ROOT / "deploy/valkey/users.acl"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Guarded:
    """A server under the file's rules, each of whose users has its own name for a password."""

    port: int

    def url(self, user: str) -> str:
        return f"redis://{user}:{user}@127.0.0.1:{self.port}/0"

    def client(self, user: str) -> Redis:
        return Redis.from_url(self.url(user))

    def refused(self) -> set[tuple[str, str]]:
        """What the server has refused since it was asked last: users, and commands or keys."""
        with self.client("operator") as client:
            entries = cast(list[dict[str, Any]], client.acl_log())
            client.acl_log_reset()
        return {(entry["username"], entry["object"]) for entry in entries}


@pytest.fixture(
    scope="module",
    params=[
        USUAL,
        *(pytest.param(name, marks=pytest.mark.slow) for name in SERVERS if name != USUAL),
    ],
)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    lines = ACL.read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines]
    assert users == ["default", "web", "worker", "receiver"]
    rules = [f"{line} >{user}" for line, user in zip(lines, users, strict=True)]
    rules.append("user operator on >operator ~* &* +@all")
    (folder / "users.acl").write_text("\n".join(rules) + "\n")
    port = free_port()
    with running_server(request.param, folder, port) as process:
        guarded = Guarded(port)
        eventually(lambda: answers(guarded) or process.poll() is not None)
        yield guarded
        process.terminate()


def running_server(name: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that reads the users of the folder's file."""
    return subprocess.Popen(
        [
            *program(name),
            *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
            *("--aclfile", str(folder / "users.acl"), "--maxmemory-policy", "noeviction"),
            # Not `always`: so that a delivery waits for the disk by a command of its own.
            *("--appendonly", "yes", "--appendfsync", "everysec"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def answers(guarded: Guarded) -> bool:
    try:
        with guarded.client("operator") as client:
            return bool(client.ping())
    except Exception:  # not yet
        return False


@pytest.fixture
def environment(guarded: Guarded, database_url: str) -> dict[str, str]:
    """Settings of all processes but for their user's REDIS_URL."""
    return {
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "DATABASE_URL": database_url,
        "API_TOKENS": TOKEN,
        "NOTIFY_STREAM": "changes",
    }


@pytest.mark.slow
def test_the_whole_product_works_and_is_refused_nothing(
    guarded: Guarded, environment: dict[str, str], tmp_path: Path
) -> None:
    guarded.refused()
    web = Settings.from_environment(environment | {"REDIS_URL": guarded.url("web")})
    log = tmp_path / "workers.log"
    with log.open("wb") as out, TestClient(create_app(web)) as client:
        workers = subprocess.Popen(
            [sys.executable, "-m", "workers"],
            cwd=ROOT,
            env=environment | {"REDIS_URL": guarded.url("worker")},
            stdout=out,
            stderr=out,
        )
        try:
            for name, status in (("processing", "processing"), ("verified", "verified")):
                body = json.dumps(event_body(name, status, id=f"evt_{name}")).encode()
                answer = client.post(URL, content=body, headers=signed(body))
                assert answer.json() == {"outcome": "enqueued"}
            with guarded.client("receiver") as receiver:
                eventually(lambda: verified_in(receiver), 60)
            assert client.get("/readyz").status_code == 200
            assert 'identity_up{store="redis"} 1.0' in client.get("/metrics", headers=BEARER).text
        finally:
            workers.terminate()
            workers.wait(60)
    # It would tell passwords too; without it, web waits for the disk whatever `appendfsync` says.
    assert guarded.refused() <= {("web", "config|get")}
    assert "NOPERM" not in log.read_text()


def verified_in(receiver: Redis) -> bool:
    found = cast(list[tuple[bytes, dict[bytes, bytes]]], receiver.xrange("changes"))
    return any(b"reference.verified" in b"".join(entry.values()) for _, entry in found)


@pytest.mark.parametrize("user", ["web", "worker"])
def test_the_doctor_can_try_a_write_and_count_what_waits(
    guarded: Guarded, environment: dict[str, str], user: str
) -> None:
    found = {one.name: one for one in examine(environment | {"REDIS_URL": guarded.url(user)})}
    for name in ("redis writes", "deferred", "dead letters"):
        assert found[name].state == "ok", found[name]


@pytest.mark.parametrize("user", ["web", "worker"])
def test_the_whole_overview_can_be_read(
    guarded: Guarded, environment: dict[str, str], user: str
) -> None:
    with guarded.client("operator") as client:
        client.flushall()
        jobs = JobQueue(client, EVENTS)
        jobs.enqueue_all([letter(f"evt_{n}") for n in range(3)])
        dead, deferred = jobs.claim("token", 60, 2)
        jobs.bury(dead, "permanent_error", "Broken", "it broke")
        jobs.retry_later(deferred, 600, "Busy", "for now")
    settings = Settings.from_environment(environment | {"REDIS_URL": guarded.url(user)})
    with opened_stores(settings) as stores:
        shown = Overview(stores, time.time).as_json()
    assert shown["unread"] == []
    assert {need["kind"] for need in shown["needs"]} == {"dead_letters", "deferred"}


DENIED: list[tuple[str, tuple[str, ...]]] = [
    *(
        (user, command)
        for user in ("web", "worker", "receiver")
        for command in (
            ("FLUSHALL",),
            ("FLUSHDB",),
            ("CONFIG", "GET", "*"),
            ("CONFIG", "SET", "dir", "/"),
            ("ACL", "LIST"),
            ("KEYS", "*"),
            ("SCAN", "0"),
            ("SHUTDOWN",),
            ("REPLICAOF", "127.0.0.1", "1"),
            ("MODULE", "LIST"),
            ("FUNCTION", "LIST"),
            ("SCRIPT", "FLUSH"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("MONITOR",),
            ("GET", "another"),
            ("SET", "another", "1"),
        )
    ),
    ("web", ("XADD", "changes", "*", "a", "b")),
    ("web", ("SUBSCRIBE", "rq:pubsub:1")),
    ("web", ("EVAL", "return redis.call('GET', 'another')", "0")),
    ("worker", ("EVAL", "return redis.call('SET', 'another', '1')", "0")),
    ("receiver", ("EVAL", "return 1", "0")),
    ("receiver", ("XADD", "changes", "*", "a", "b")),
    ("receiver", ("XTRIM", "changes", "MAXLEN", "0")),
    ("receiver", ("DEL", "changes")),
    ("receiver", ("HGETALL", "rq:job:evt_1")),
    ("receiver", ("RPUSH", f"rq:queue:{EVENTS.name}", "evt_1")),
]


@pytest.mark.parametrize(("user", "command"), DENIED, ids=str)
def test_a_user_is_refused_what_is_not_its_own(
    guarded: Guarded, user: str, command: tuple[str, ...]
) -> None:
    refusal = pytest.raises(ResponseError, match=r"(?i)no permissions|script can't access")
    with guarded.client(user) as client, refusal:
        client.execute_command(*command)


def test_nobody_gets_in_without_a_user(guarded: Guarded) -> None:
    once = Retry(NoBackoff(), 0)
    with Redis(port=guarded.port, retry=once) as client, pytest.raises(AuthenticationError):
        client.ping()


def test_a_user_of_the_file_has_no_password_and_so_cannot_log_in_until_it_is_given_one() -> None:
    assert not any(word.startswith((">", "#", "nopass")) for word in ACL.read_text().split())
