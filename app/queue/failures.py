"""What is wrong with Redis, by the client's error: where, what, and what to do about it.

Nothing is asked here. The client's texts are not passed on: they may quote what was sent.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from redis import exceptions

from app.configuration.addresses import SENTINEL_SCHEMES, describe_address, parse_sentinel_url
from app.domain.errors import QueueRefused, QueueUnavailable, StoreFailure
from app.faults import explain
from app.queue.faults import FAULTS
from app.queue.sentinels import NoPrimary
from app.queue.serving import answer_of, place_of

REDIS_PORT = 6379
# What the client's pools say, as an error of a connection.
NONE_FREE = "No connection available."

# By the first word of an answer. All but the last three pass with time.
BY_ANSWER = {
    "WRONGPASS": "wrong_password",
    "NOAUTH": "password_missing",
    "LOADING": "loading",
    "READONLY": "replica",
    "UNBLOCKED": "demoted",
    "MASTERDOWN": "primary_lost",
    "NOREPLICAS": "replicas_lost",
    "OOM": "full",
    "MISCONF": "disk_failed",
    "BUSY": "busy",
    "CLUSTERDOWN": "cluster_down",
    "NOPERM": "no_permission",
}
# Of answers that begin with ERR, and of what the client says by itself.
BY_TEXT = {
    "max number of clients reached": "too_many_clients",
    "invalid password": "wrong_password",
    "Invalid Username or Password": "wrong_password",
    "without any password configured": "password_unknown",
    "no password is set": "password_unknown",
    "DB index is out of range": "no_such_database",
    "SELECT is not allowed in cluster mode": "no_such_database",
    "Connection closed by server": "connection_lost",
    "Connection reset": "connection_lost",
    "Connection lost": "connection_lost",
    "Broken pipe": "connection_lost",
}
BY_ERRNO = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ENOENT: "socket_missing",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ECONNRESET: "connection_lost",
    errno.EPIPE: "connection_lost",
}
# OpenSSL's reasons where the other side answers, but not by TLS.
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
# Faults that do not pass with time: somebody has to correct a setting or a right.
LASTING = frozenset({"no_permission", "no_such_database", "not_redis"})


def describe_redis(url: str) -> str:
    """Where REDIS_URL points to, without what may be secret in it."""
    if url.startswith("unix://"):
        return f"the socket {urlsplit(url).path}"
    where = describe_address(url)
    if url.startswith(SENTINEL_SCHEMES):
        return f"{parse_sentinel_url(url).service} ({where})"
    return where if re.search(r":\d+$", where) or " " in where else f"{where}:{REDIS_PORT}"


def failure_of(error: Exception, place: str = "", *, seconds: float = 0) -> StoreFailure | None:
    """Our error for one of Redis' client; None for what is a fault in code.

    `place` is as `describe_redis` gives it, where the error does not know it itself. `seconds` is
    how long a connection was waited for.
    """
    code = classify(error)
    if code is None:
        return None
    detail = f"{seconds:g}" if code == "pool_exhausted" else _denied(error)
    return failure(code, place_of(error) or place, detail=detail, answer=_first_word(error))


def failure(code: str, place: str, *, detail: str = "", answer: str = "") -> StoreFailure:
    """The error for a fault: `detail` completes its words, `answer` is Redis' word for it."""
    where = place or "the address in REDIS_URL"
    kind = QueueRefused if code in LASTING else QueueUnavailable
    redis = f"Redis on {where}" if where.startswith("the socket") else f"Redis at {where}"
    return kind(*explain(FAULTS, code, answer, redis=redis, where=where, detail=detail))


def classify(error: Exception) -> str | None:
    """The code of a fault of Redis' or of the way there; None for what is a fault in code."""
    for cause in _causes(error):  # the event loop's connections wrap it
        if isinstance(cause, exceptions.InvalidResponse):
            return "not_redis"
        if isinstance(cause, NoPrimary):
            return "no_primary"
    if isinstance(error, exceptions.ResponseError):
        return _of_answer(error)
    if isinstance(error, exceptions.TimeoutError | TimeoutError):
        return "timeout"
    if isinstance(error, exceptions.ConnectionError | OSError):
        return _of_connection(error)
    return None


def _of_answer(error: Exception) -> str | None:
    by_text = (code for part, code in BY_TEXT.items() if part in str(error))
    return BY_ANSWER.get(_first_word(error)) or next(by_text, None)


def _of_connection(error: Exception) -> str:
    if str(error) == NONE_FREE:
        return "pool_exhausted"
    by_system = (_of_system(cause) for cause in _causes(error) if isinstance(cause, OSError))
    return next(filter(None, by_system), None) or _of_answer(error) or "unavailable"


def _of_system(error: OSError) -> str | None:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "name_not_found"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls_certificate"
    if isinstance(error, ssl.SSLError):
        return "tls_not_offered" if error.reason in NO_TLS else "tls_failed"
    number = error.errno
    # Where a name leads to several addresses, asyncio tells of all in one text.
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return BY_ERRNO.get(number) if number is not None else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        seen.append(following)
        yield following
        following = following.__cause__ or following.__context__


def _first_word(error: Exception) -> str:
    """Redis' own word for what it answered, such as OOM; "" if that says nothing."""
    if not isinstance(error, exceptions.RedisError):
        return ""
    word = answer_of(error).partition(" ")[0]
    return word if word in BY_ANSWER else ""


def _denied(error: Exception) -> str:
    """What a user has no right to, of an answer that may quote more than that."""
    text = str(error)
    if found := re.search(r"run the '([\w|. -]+)' command", text):
        return f"run {found[1].upper()}"
    kind = re.search(r"access a (key|channel)|access the (key|channel)", text)
    return f"use a {next(filter(None, kind.groups()))} of ours" if kind else "do that"
