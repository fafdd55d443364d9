"""`NOTIFY_URL`: a POST of Standard Webhooks. https://www.standardwebhooks.com"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3
from standardwebhooks import Webhook
from starlette.datastructures import Secret

from app.domain.errors import Permanent, Retry, Transient
from app.notifications.message import ReferenceChanged

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 10.0
# An answer's body is not read, but for what came with its head.
LONGEST_PAUSE = 86_400  # seconds: no receiver puts us off for longer


class ReceiverUnavailable(Transient):
    """The receiver cannot be reached, or did not answer 2xx: tried again later."""


class ReceiverRefused(Permanent):
    """NOTIFY_URL leads where we do not send: look at the setting."""


class ReceiverGone(Permanent):
    """The receiver answered 410: it wants no more. `notify test` begins again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What came back."""

    status: int
    seconds: float


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
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._https else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._signers = [Webhook(str(secret)) for secret in secrets]
        self._allow_private = allow_private
        self._now = now

    def send(self, message: ReferenceChanged) -> Told:
        """POST the message once. Raises what says whether, and when, to try again."""
        now = self._now()
        body = message.body(now)
        signed_at = datetime.fromtimestamp(int(now), UTC)
        signatures = [signer.sign(message.id, signed_at, body) for signer in self._signers]
        headers = {
            "Host": self._host if self._port in (80, 443) else f"{self._host}:{self._port}",
            "Content-Type": "application/json",
            "User-Agent": "stripe-identity-reconciler",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(signatures),
        }
        began = time.monotonic()
        status, retry_after = self._post(body, headers)
        self._judge(status, retry_after)
        return Told(status, round(time.monotonic() - began, 3))

    def _post(self, body: str, headers: dict[str, str]) -> tuple[int, str | None]:
        # A pool of its own for each message: kept connections would outlive the address we checked.
        with self._pool(self._address()) as pool:
            try:
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
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise ReceiverUnavailable(
                    f"the receiver cannot be reached ({type(error).__name__})"
                ) from None
            answer.close()
            return answer.status, answer.headers.get("Retry-After")

    def _pool(self, address: str) -> urllib3.HTTPConnectionPool:
        if not self._https:
            return urllib3.HTTPConnectionPool(address, self._port)
        # The address is the one we looked at; the certificate has to be the name's.
        # https://urllib3.readthedocs.io/en/stable/advanced-usage.html#custom-sni-hostname
        return urllib3.HTTPSConnectionPool(
            address,
            self._port,
            server_hostname=self._host,
            assert_hostname=self._host,
            ssl_context=ssl.create_default_context(),
        )

    def _address(self) -> str:
        """An address of the receiver's host: a public one, unless private ones are allowed."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ReceiverUnavailable("the receiver's host name cannot be resolved") from None
        addresses = [str(entry[4][0]) for entry in found]
        if self._allow_private:
            return addresses[0]
        public = [a for a in addresses if ipaddress.ip_address(a.partition("%")[0]).is_global]
        if not public:
            raise ReceiverRefused(
                "NOTIFY_URL leads to a private address: set NOTIFY_ALLOW_PRIVATE=1 if it is meant"
            )
        return public[0]

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        if status == 410:
            raise ReceiverGone("the receiver answered 410: it wants no more")
        told = f"the receiver answered {status}"
        pause = _seconds(retry_after, self._now())
        if pause is not None:
            raise Retry(min(pause, LONGEST_PAUSE), told)
        raise ReceiverUnavailable(told)


def _seconds(retry_after: str | None, now: float) -> float | None:
    """Retry-After, which is seconds or a date; None where it is neither."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except ValueError:
        return None
