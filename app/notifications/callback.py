"""`NOTIFY_URL`: a POST of Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import unquote, urlsplit

import urllib3
from rq.timeouts import JobTimeoutException
from standardwebhooks import Webhook
from starlette.datastructures import Secret
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from app.domain.errors import Permanent, Retry
from app.notifications.addresses import ReceiverUnavailable, addresses_of, is_public
from app.notifications.message import ReferenceChanged

# Seconds. Both together stay within an effect's time limit. A receiver that answers byte by byte
# stays within both, and only the limit itself ends it.
CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 10.0
# A host with many addresses counts as away if the first ones are.
MAX_ADDRESSES = 3
MAX_PAUSE = 86_400.0  # seconds: a longer Retry-After is cut to this
DEFAULT_PORTS = {"http": 80, "https": 443}

# Their warnings quote the address of the request, and NOTIFY_URL may hold a token.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class ReceiverGone(Permanent):
    """The receiver answered 410: nothing more is sent until `notify test` succeeds."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The receiver's answer: its HTTP status, and the seconds it took."""

    status: int
    seconds: float
    unencrypted: bool = False  # the message went over the public internet as plain HTTP


class Callback:
    """Sends messages to one address, signed by every secret that is valid now."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[Secret],
        allow_private: bool,
        now: Callable[[], float],
    ) -> None:
        """`now` gives Unix seconds. `allow_private` is NOTIFY_ALLOW_PRIVATE."""
        parts = urlsplit(url)
        self._https = parts.scheme == "https"
        self._host = _ascii(parts.hostname or "")
        self._port = parts.port or DEFAULT_PORTS[parts.scheme]
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = f"[{self._host}]" if ":" in self._host else self._host
        default = self._port == DEFAULT_PORTS[parts.scheme]
        self._headers = {
            "Host": named if default else f"{named}:{self._port}",
            "Content-Type": "application/json",
            "User-Agent": "stripe-identity-reconciler",
            **_authorization(parts.username, parts.password),
        }
        self._signers = [Webhook(str(secret)) for secret in secrets]
        self._allow_private = allow_private
        self._now = now

    def send(self, message: ReferenceChanged) -> Delivery:
        """POST the message once. Raises an error that says whether, and when, to try again."""
        now = self._now()
        body = message.body(now)
        signed_at = datetime.fromtimestamp(int(now), UTC)
        signatures = [signer.sign(message.id, signed_at, body) for signer in self._signers]
        headers = {
            **self._headers,
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(signatures),
        }
        began = time.monotonic()
        try:
            status, retry_after, public = self._post(body, headers)
        except JobTimeoutException:
            raise ReceiverUnavailable("the receiver did not answer in time") from None
        self._judge(status, retry_after)
        seconds = round(time.monotonic() - began, 3)
        return Delivery(status, seconds, unencrypted=public and not self._https)

    def _post(self, body: str, headers: dict[str, str]) -> tuple[int, str | None, bool]:
        found = addresses_of(self._host, self._port, allow_private=self._allow_private)
        for address in found[:MAX_ADDRESSES]:
            try:
                return *self._post_to(address, body, headers), is_public(address)
            except (NewConnectionError, ConnectTimeoutError) as error:
                reason = type(error).__name__  # nothing was sent: try the next address
            except (urllib3.exceptions.HTTPError, OSError) as error:
                reason = type(error).__name__
                break
        raise ReceiverUnavailable(f"the receiver cannot be reached ({reason})")

    def _post_to(self, address: str, body: str, headers: dict[str, str]) -> tuple[int, str | None]:
        # A new pool for each message: a kept connection would outlive the check of its address.
        with self._pool(address) as pool:
            answer = pool.urlopen(
                "POST",
                self._path,
                body=body.encode(),
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            )
            answer.close()  # its body is not read, however long it is
            return answer.status, answer.headers.get("Retry-After")

    def _pool(self, address: str) -> urllib3.HTTPConnectionPool:
        if not self._https:
            return urllib3.HTTPConnectionPool(address, self._port)
        # Connect to the checked address, with the certificate of the name.
        # https://urllib3.readthedocs.io/en/stable/advanced-usage.html#custom-sni-hostname
        return urllib3.HTTPSConnectionPool(
            address,
            self._port,
            server_hostname=self._host,
            assert_hostname=self._host,
            ssl_context=self._tls,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made once: reading the system's certificates takes longer than sending."""
        return ssl.create_default_context()

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        if status == 410:
            raise ReceiverGone("the receiver answered 410: it accepts no more")
        message = f"the receiver answered {status}"
        pause = seconds_of(retry_after, self._now())
        if pause is not None:
            raise Retry(min(pause, MAX_PAUSE), message)
        raise ReceiverUnavailable(message)


def seconds_of(retry_after: str | None, now: float) -> float | None:
    """Retry-After, which is seconds or a date; None if it is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        at = parsedate_to_datetime(retry_after)
        # An HTTP date is in UTC, even if it does not say so.
        return max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _ascii(host: str) -> str:
    """The name in DNS' own form; a name that has none cannot be resolved either."""
    with suppress(UnicodeError):
        return host if host.isascii() else host.encode("idna").decode()
    return host


def _authorization(name: str | None, password: str | None) -> dict[str, str]:
    if name is None:
        return {}
    pair = f"{unquote(name)}:{unquote(password or '')}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
