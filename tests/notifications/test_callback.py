"""The callback against a real server, which verifies with the official package."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from starlette.datastructures import Secret

from app.domain.errors import IdentityError, Retry
from app.local.valkey import free_port
from app.notifications import callback
from app.notifications.addresses import ReceiverRefused, ReceiverUnavailable
from app.notifications.callback import Callback, ReceiverGone, seconds_of
from app.queue.retry_policy import RetryLater, decide
from tests.notifications.receiver import (
    CHANGED,
    OLD_SECRET,
    SECRET,
    Behaviour,
    answering,
    closing,
    dripping,
    endless,
    endless_headers,
    mumbling,
    receiving,
    slow,
    stammering,
)


def callback_to(url: str, *secrets: str, private: bool = True) -> Callback:
    signing = [Secret(secret) for secret in secrets or (SECRET,)]
    return Callback(url, signing, private, time.time)


def refused_by(behaviour: Behaviour) -> Exception:
    """What a receiver that behaves so makes of a message, and no second request with it."""
    with receiving(behaviour) as receiver, pytest.raises(IdentityError) as raised:
        callback_to(receiver.url).send(CHANGED)
    assert len(receiver.requests) == 1
    assert not receiver.followed
    return raised.value


# --- what is sent ---------------------------------------------------------------------------


def test_a_receiver_verifies_the_message_with_the_official_package() -> None:
    with receiving() as receiver:
        told = callback_to(receiver.url).send(CHANGED)
    (accepted,) = receiver.accepted
    assert accepted["id"] == CHANGED.id
    assert accepted["data"]["client_reference_id"] == "user-1"
    assert told.status == 204


@pytest.mark.parametrize("known", [SECRET, OLD_SECRET])
def test_while_the_secret_is_rolled_either_one_verifies(known: str) -> None:
    with receiving(secrets=(known,)) as receiver:
        callback_to(receiver.url, SECRET, OLD_SECRET).send(CHANGED)
    assert len(receiver.accepted) == 1


def test_a_receiver_with_another_secret_refuses_and_is_tried_again_later() -> None:
    refusal = pytest.raises(ReceiverUnavailable, match="the receiver answered 401")
    with receiving(secrets=(OLD_SECRET,)) as receiver, refusal:
        callback_to(receiver.url, SECRET).send(CHANGED)
    assert receiver.refused == 1


def test_the_address_keeps_its_path_and_query_and_the_host_its_name() -> None:
    with receiving() as receiver:
        callback_to(f"http://localhost:{receiver.port}/a/b?c=d%20e").send(CHANGED)
    (request,) = receiver.requests
    assert request["path"] == "/a/b?c=d%20e"
    assert request["headers"]["host"] == f"localhost:{receiver.port}"
    assert request["headers"]["content-type"] == "application/json"


def test_a_name_and_password_in_the_address_are_sent_as_such() -> None:
    with receiving() as receiver:
        callback_to(f"http://jen%C3%BC:p%40ss@127.0.0.1:{receiver.port}/").send(CHANGED)
    sent = receiver.requests[0]["headers"]["authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "jenü:p@ss"


def test_a_reference_of_any_characters_arrives_whole() -> None:
    name = "üser 💚\u2028\n" + "x" * 5000
    with receiving() as receiver:
        callback_to(receiver.url).send(replace(CHANGED, client_reference_id=name))
    assert receiver.accepted[0]["data"]["client_reference_id"] == name


# --- what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_taken_for_done(status: int) -> None:
    with receiving(answering(status)) as receiver:
        assert callback_to(receiver.url).send(CHANGED).status == status


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 409, 429, 500, 503])
def test_nothing_but_2xx_is_taken_for_done(status: int) -> None:
    error = refused_by(answering(status))
    assert (type(error), str(error)) == (ReceiverUnavailable, f"the receiver answered {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    error = refused_by(answering(status, Location="/elsewhere"))
    assert isinstance(error, ReceiverUnavailable)


def test_410_says_that_no_more_is_wanted() -> None:
    assert isinstance(refused_by(answering(410)), ReceiverGone)


def test_a_time_to_wait_is_respected_in_seconds() -> None:
    error = refused_by(answering(429, Retry_After="120"))
    assert isinstance(error, Retry)
    assert error.after == 120


def test_a_time_to_wait_is_respected_as_a_date() -> None:
    at = time.gmtime(time.time() + 300)
    error = refused_by(answering(503, Retry_After=time.strftime("%a, %d %b %Y %H:%M:%S GMT", at)))
    assert isinstance(error, Retry)
    assert 290 < error.after <= 300


def test_no_receiver_puts_us_off_for_more_than_a_day() -> None:
    error = refused_by(answering(503, Retry_After="31536000"))
    assert isinstance(error, Retry)
    assert error.after == 86_400


def test_a_receiver_cannot_ask_for_less_than_the_backoff() -> None:
    error = refused_by(answering(503, Retry_After="0"))
    assert decide(error, attempts=5, chance=1.0) == RetryLater(64)


@pytest.mark.parametrize("told", ["soon", "5, 5", "1e5", "²", ""])
def test_a_time_to_wait_that_cannot_be_read_is_none(told: str) -> None:
    assert seconds_of(told, 0) is None


def test_a_date_without_a_zone_is_in_utc() -> None:
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 -0000", 1_445_412_400.0) == 80


@given(st.text() | st.from_regex(r"\w{3}, \d{1,20} (Jan|Feb) \d{1,20} \d\d:\d\d:\d\d( [+-]\d{4})?"))
def test_no_time_to_wait_breaks_us(told: str) -> None:
    found = seconds_of(told, 1_700_000_000.0)
    assert found is None or found >= 0


# --- receivers that misbehave ---------------------------------------------------------------


def test_a_receiver_that_is_not_there_is_tried_again_later() -> None:
    with pytest.raises(ReceiverUnavailable, match=r"cannot be reached \(NewConnectionError\)$"):
        callback_to(f"http://127.0.0.1:{free_port()}/").send(CHANGED)


@pytest.mark.parametrize("behaviour", [closing, mumbling, endless_headers])
def test_a_receiver_that_gives_no_answer_is_tried_again_later(behaviour: Behaviour) -> None:
    error = refused_by(behaviour)
    assert str(error) == "the receiver cannot be reached (ProtocolError)"


def test_a_receiver_that_is_too_slow_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "READ_TIMEOUT", 0.1)
    error = refused_by(slow(0.5, answering(200)))
    assert str(error) == "the receiver cannot be reached (ReadTimeoutError)"


def test_an_answer_without_end_is_not_read() -> None:
    began = time.monotonic()
    with receiving(endless) as receiver:
        assert callback_to(receiver.url).send(CHANGED).status == 200
    assert time.monotonic() - began < 5


def test_a_receiver_that_drips_is_ended_by_the_time_limit_and_tried_again_later() -> None:
    began = time.monotonic()
    limit = UnixSignalDeathPenalty(1, JobTimeoutException)
    with (
        receiving(dripping) as receiver,
        pytest.raises(ReceiverUnavailable, match="in time"),
        limit,
    ):
        callback_to(receiver.url).send(CHANGED)
    assert time.monotonic() - began < 3


def test_a_connection_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "CONNECT_TIMEOUT", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        with pytest.raises(ReceiverUnavailable, match="ConnectTimeoutError"):
            callback_to(f"http://127.0.0.1:{address[1]}/").send(CHANGED)
        for each in waiting:
            each.close()


# --- addresses ------------------------------------------------------------------------------


def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    with receiving() as receiver, pytest.raises(ReceiverRefused):
        callback_to(receiver.url, private=False).send(CHANGED)
    assert receiver.requests == []


def test_the_connection_goes_to_the_very_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that changes between the look and the connection leads nowhere else."""
    connected: list[Any] = []
    answers = [[(2, 1, 6, "", ("93.184.215.14", 80))], [(2, 1, 6, "", ("127.0.0.1", 80))]]
    real = socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "rebinding.example":
            return answers.pop(0)
        return real(host, *arguments, **options)

    def connect(self: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(ReceiverUnavailable):
        callback_to("http://rebinding.example/", private=False).send(CHANGED)
    assert connected == [("93.184.215.14", 80)]


def test_if_one_address_of_the_host_is_away_the_next_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`localhost` is ::1 first on most machines, and most servers are not there."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if host != "two.example":
            return real(host, port, *arguments, **options)
        return [(2, 1, 6, "", (each, port)) for each in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with receiving() as receiver:
        callback_to(f"http://two.example:{receiver.port}/").send(CHANGED)
    assert len(receiver.accepted) == 1


# --- secrets --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [answering(500), answering(302, Location="/x?token=hush"), closing, mumbling, stammering],
)
def test_no_error_and_no_log_holds_a_secret_a_reference_or_the_address(
    behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with receiving(behaviour) as receiver:
        url = receiver.url.replace("127.0.0.1", "team:hush@127.0.0.1")
        try:
            callback_to(url).send(CHANGED)
        except (ReceiverUnavailable, Retry) as error:
            said = repr(error)
        else:
            said = ""
    said += caplog.text
    for secret in ("hush", "user-1", SECRET, SECRET.removeprefix("whsec_"), "127.0.0.1"):
        assert secret not in said


def test_every_try_of_a_message_has_the_same_id() -> None:
    with receiving(answering(500), answering(500)) as receiver:
        sending = callback_to(receiver.url)
        for _ in range(2):
            with pytest.raises(ReceiverUnavailable):
                sending.send(CHANGED)
        sending.send(CHANGED)
    assert {request["headers"]["webhook-id"] for request in receiver.requests} == {CHANGED.id}
    assert json.loads(receiver.requests[0]["body"])["data"]["standing"]["version"] == 3
