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
# How the place of a socket begins.
SOCKET = "the socket"
# What the client's pools say, as an error of a connection.
NONE_FREE = "No connection available."

# By the first word of an answer.
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
    "CLUSTERDOWN": "cluster",
    "CROSSSLOT": "cluster",
    "MOVED": "cluster",
    "ASK": "cluster",
    "TRYAGAIN": "cluster",
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
    "SELECT is not allowed in cluster mode": "cluster",
    "command keys must be in same slot": "cluster",  # Tair's word for CROSSSLOT
    # What a script does for a user without the right to it; the latter is Redis 7.0's word.
    "ACL failure in script": "no_permission",
    "The user executing the script can't": "no_permission",
    # Redis before 7.0 does not know the first line of our scripts, which says their flags.
    "Error compiling script": "too_old",
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
# OpenSSL's codes for a certificate that does not pass our check; all others are of its authority.
BY_CERTIFICATE = {
    9: "tls_expired",  # X509_V_ERR_CERT_NOT_YET_VALID
    10: "tls_expired",  # X509_V_ERR_CERT_HAS_EXPIRED
    62: "tls_other_name",  # X509_V_ERR_HOSTNAME_MISMATCH
    64: "tls_other_name",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
# What the other side says of ours, as OpenSSL's reasons end.
OWN_CERTIFICATE = (
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_UNKNOWN_CA",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
)
# Faults that do not pass with time: somebody has to correct a setting or a right.
LASTING = frozenset({"no_permission", "no_such_database", "not_redis", "cluster", "too_old"})
# Why no sentinel could be asked, if not as it is away.
BY_SENTINEL = {
    "wrong_password": "sentinel_password",
    "password_missing": "sentinel_password",
    "password_unknown": "sentinel_password",
    "no_permission": "sentinel_password",
    "tls_certificate": "sentinel_tls",
    "tls_other_name": "sentinel_tls",
    "tls_expired": "sentinel_tls",
    "tls_own_certificate": "sentinel_tls",
    "tls_not_offered": "sentinel_tls",
    "tls_failed": "sentinel_tls",
    "socket_missing": "socket_missing",  # it is a file that TLS needs
}
OF_SENTINELS = ("sentinel_password", "sentinel_tls")


def describe_redis(url: str) -> str:
    """Where REDIS_URL points to, without what may be secret in it."""
    if url.startswith("unix://"):
        return f"{SOCKET} {urlsplit(url).path}"
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
    place = place_of(error) or place
    # No socket is looked for there: it is a file that TLS needs.
    if code == "socket_missing" and not place.startswith(SOCKET):
        code = "tls_file"
    answer = _of_sentinel(error) if code in OF_SENTINELS else _first_word(error)
    return failure(code, place, detail=detail, answer=answer)


def failure(code: str, place: str, *, detail: str = "", answer: str = "") -> StoreFailure:
    """The error for a fault: `detail` completes its words, `answer` is Redis' word for it."""
    where = place or "the address in REDIS_URL"
    kind = QueueRefused if code in LASTING else QueueUnavailable
    redis = f"Redis on {where}" if where.startswith(SOCKET) else f"Redis at {where}"
    return kind(*explain(FAULTS, code, answer, redis=redis, where=where, detail=detail))


def classify(error: Exception) -> str | None:
    """The code of a fault of Redis' or of the way there; None for what is a fault in code."""
    for cause in _causes(error):  # the event loop's connections wrap it
        if isinstance(cause, exceptions.InvalidResponse):
            return "not_redis"
        if isinstance(cause, NoPrimary):
            return BY_SENTINEL.get(_of_sentinel(cause), "no_primary")
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
        return BY_CERTIFICATE.get(error.verify_code, "tls_certificate")
    if isinstance(error, ssl.SSLError):
        return _of_tls(error.reason or "")
    number = error.errno
    # Where a name leads to several addresses, asyncio tells of all in one text.
    if number is None and (found := re.search(r"\[Errno (\d+)\]", str(error))):
        number = int(found[1])
    return BY_ERRNO.get(number) if number is not None else None


def _of_tls(reason: str) -> str:
    if reason in NO_TLS:
        return "tls_not_offered"
    return "tls_own_certificate" if reason.endswith(OWN_CERTIFICATE) else "tls_failed"


def _of_sentinel(error: BaseException) -> str:
    """The code of why the sentinel that was asked last did not answer; "" if it did."""
    found = next(cause for cause in _causes(error) if isinstance(cause, NoPrimary))
    return (classify(found.why) if found.why is not None else None) or ""


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
    kind = re.search(r"access (?:a|the|(?:at least )?one of the) (key|channel)", text)
    return f"use a {kind[1]} of ours" if kind else "do that"
