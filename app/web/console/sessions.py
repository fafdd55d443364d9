"""The cookie of a person who has signed in: their name and the time, signed.

The key is made of their line in CONSOLE_USERS, which has the hash of their password. So a session
ends when the password or the role changes or the person is taken out, every web process reads every
cookie, and nothing is kept for it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping

from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

COOKIE = "identity_console"
PATH = "/console"
LASTS = 12 * 3600  # seconds


class _Signer(TimestampSigner):
    """Signs by a person's own key, and by the clock that it is given."""

    def __init__(self, line: str, now: Callable[[], float]) -> None:
        key = hmac.digest(line.encode(), b"session of the console", "sha256")
        super().__init__(key, salt=b"", key_derivation="none", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        return int(self._now())


class Sessions:
    """Makes the cookies, and reads them."""

    def __init__(self, lines: Mapping[str, str], now: Callable[[], float]) -> None:
        """`lines` have role and hash, by name; `now` gives Unix seconds."""
        self._signers = {name: _Signer(line, now) for name, line in lines.items()}

    def cookie_of(self, name: str) -> str:
        """The cookie of a person, from now on for LASTS seconds."""
        return self._signers[name].sign(base64_encode(name)).decode()

    def name_in(self, cookie: str) -> str | None:
        """The person whose cookie it is; None if it is nobody's any more, or is forged."""
        try:
            name = base64_decode(cookie.partition(".")[0]).decode()
            self._signers[name].unsign(cookie, max_age=LASTS)
        except (BadData, KeyError, ValueError):
            return None
        return name
