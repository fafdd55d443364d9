"""Each fault of Redis, made for real, has its own line: what, where, and what to do."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from redis.exceptions import LockError, RedisError, ResponseError

from app.local.valkey import free_port
from app.queue import connection
from app.queue.connection import translated_errors
from app.queue.failures import classify, describe_redis, failure
from app.queue.faults import FAULTS
from tests.queue.asking import PASSWORD, Fault, both
from tests.support.no_network import without_network
from tests.support.stub_server import (
    Talk,
    says,
    self_signed,
    silent,
    speaks_tls,
    stub_server,
    tls_context,
)

PORT = "PORT"  # in a line, for the port of a test's own server

# --- out of reach ---------------------------------------------------------------------------


@both
def test_a_host_name_that_does_not_resolve(fault_at: Fault) -> None:
    assert str(fault_at(f"redis://me:{PASSWORD}@nothing.invalid/0")) == (
        "the host name of Redis at nothing.invalid:6379 does not resolve:"
        " correct the host in REDIS_URL, or the DNS of this machine"
    )


@both
def test_a_port_at_which_nothing_listens(fault_at: Fault) -> None:
    port = free_port()
    assert str(fault_at(f"redis://me:{PASSWORD}@127.0.0.1:{port}/0")) == (
        f"Redis at 127.0.0.1:{port} refuses the connection:"
        " start it, or correct host and port in REDIS_URL"
    )


@both
def test_a_socket_that_is_not_there(fault_at: Fault) -> None:
    assert str(fault_at("unix:///nowhere/valkey.sock")) == (
        "Redis on the socket /nowhere/valkey.sock is not there:"
        " start it, or correct the path in REDIS_URL"
    )


@both
def test_a_redis_to_which_no_route_leads(fault_at: Fault) -> None:
    url = f"redis://me:{PASSWORD}@127.0.0.1:6379/0"
    assert str(without_network(lambda: fault_at(url))) == (
        "no route leads to Redis at 127.0.0.1:6379:"
        " see to the network between this machine and Redis"
    )


@both
def test_sentinels_of_which_none_answers(fault_at: Fault) -> None:
    one, two = free_port(), free_port()
    url = f"redis+sentinel://me:{PASSWORD}@127.0.0.1:{one},127.0.0.1:{two}/queue/0"
    assert str(fault_at(url)) == (
        f"no sentinel of queue (127.0.0.1:{one},127.0.0.1:{two}) names a primary: start the"
        " sentinels, or correct their hosts and the service's name in REDIS_URL"
    )


@both
def test_a_redis_that_does_not_answer(fault_at: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SOCKET_TIMEOUT", 0.1)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.1)
    with stub_server(silent) as port:
        assert str(fault_at(f"redis://127.0.0.1:{port}/0")) == (
            f"Redis at 127.0.0.1:{port} did not answer in time: see whether it is overloaded,"
            " a firewall is in the way, or it expects TLS or none"
        )


def hangs_up(connection: object) -> None:
    """Say nothing, and go."""


# What no server here can be made to say.
PLAYED: dict[str, tuple[Talk, str]] = {
    "not_redis": (
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        f"what answers at 127.0.0.1:{PORT} does not speak Redis' protocol:"
        " correct host and port in REDIS_URL, or write rediss:// if it expects TLS",
    ),
    "unavailable": (
        says(b"+LATER\r\n" * 4),  # however many commands came at once
        f"Redis at 127.0.0.1:{PORT} does not answer as it should:"
        " connect by `redis-cli` with the same address, which shows its own words",
    ),
    "connection_lost": (
        hangs_up,
        f"Redis at 127.0.0.1:{PORT} closed the connection:"
        " it is tried again; if Redis was not restarted, read its log",
    ),
    "loading": (
        says(b"-LOADING Valkey is loading the dataset in memory\r\n"),
        f"Redis at 127.0.0.1:{PORT} is still loading its data (LOADING): wait until it is done",
    ),
    "demoted": (
        says(b"-UNBLOCKED force unblock from blocking operation\r\n"),
        f"Redis at 127.0.0.1:{PORT} has become a replica meanwhile (UNBLOCKED):"
        " nothing: it is tried again by the same name",
    ),
    "disk_failed": (
        says(b"-MISCONF Errors writing to the AOF file: No space left on device\r\n"),
        f"Redis at 127.0.0.1:{PORT} cannot save to its disk, and takes nothing until it can"
        " (MISCONF): make room there, or mend the disk",
    ),
    "cluster": (
        says(b"-MOVED 3999 10.0.0.2:6379\r\n"),
        f"Redis at 127.0.0.1:{PORT} is a cluster, over whose nodes the queue's keys would be"
        " spread (MOVED): point REDIS_URL to a Redis or Valkey that is not in cluster mode",
    ),
    "password_unknown": (
        says(
            b"-ERR AUTH <password> called without any password configured for the default user."
            b" Are you sure your configuration is correct?\r\n"
        ),
        f"Redis at 127.0.0.1:{PORT} has no password, and REDIS_URL sends one:"
        " take it out of REDIS_URL, or set one there",
    ),
}


@both
@pytest.mark.parametrize("code", PLAYED)
def test_what_a_server_that_cannot_be_used_says(code: str, fault_at: Fault) -> None:
    talk, line = PLAYED[code]
    with stub_server(talk) as port:
        fault = fault_at(f"redis://127.0.0.1:{port}/1?protocol=2")
        assert (fault.code, str(fault)) == (code, line.replace(PORT, str(port)))


@both
def test_a_redis_without_tls_that_is_asked_for_it(fault_at: Fault) -> None:
    with stub_server(says(b"-ERR unknown command\r\n")) as port:
        assert str(fault_at(f"rediss://127.0.0.1:{port}/0")) == (
            f"Redis at 127.0.0.1:{port} does not speak TLS, which rediss:// asks for:"
            " write redis://, or have it listen with TLS"
        )


@both
def test_a_certificate_that_nobody_trusts(fault_at: Fault, tmp_path: Path) -> None:
    context = tls_context(self_signed(tmp_path, "redis.example"))
    with stub_server(speaks_tls(context)) as port:
        assert str(fault_at(f"rediss://me:{PASSWORD}@127.0.0.1:{port}/0")) == (
            f"the TLS certificate of Redis at 127.0.0.1:{port} is of no authority that this"
            " process trusts: name its authority by ?ssl_ca_certs=FILE, or accept any by"
            " REDIS_TLS_VERIFY=0"
        )


@both
def test_a_redis_that_asks_for_a_certificate_of_ours(fault_at: Fault, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "localhost")
    context = tls_context(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where the handshake itself fails
    with stub_server(speaks_tls(context)) as port:
        url = f"rediss://me:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={certificate[0]}"
        assert str(fault_at(url)) == (
            f"no TLS connection to Redis at localhost:{port} comes about: see that both sides share"
            " a version of TLS, and the certificates that each asks for"
        )


# --- the table ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ResponseError("WRONGTYPE of user-1"), LockError("lost"), RedisError("what")], ids=repr
)
def test_a_fault_in_code_is_not_taken_for_one_of_redis(error: Exception) -> None:
    assert classify(error) is None
    with pytest.raises(type(error)), translated_errors():
        raise error


def test_no_two_faults_share_their_words() -> None:
    assert len({fault.says for fault in FAULTS.values()}) == len(FAULTS)


def test_a_place_that_is_not_known_is_named_by_its_setting() -> None:
    assert failure("full", "").message == "Redis at the address in REDIS_URL is full"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://me:hunter2@host/0", "host:6379"),
        ("rediss://me:hunter2@[::1]:7/0", "[::1]:7"),
        ("redis://hunter2/x@host:6379", "its server"),
        ("unix://me:hunter2@/tmp/s?db=2", "the socket /tmp/s"),
    ],
)
def test_a_place_holds_nothing_of_a_password(url: str, place: str) -> None:
    assert describe_redis(url) == place
