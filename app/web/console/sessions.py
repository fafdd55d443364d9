"""The cookie of a person who has signed in: who they are and the time, signed.

Every web process reads every cookie, and nothing is kept for it. With a password, the key is made
of the person's line in CONSOLE_USERS, which has the hash of it: so a session ends when the password
or the role changes or the person is taken out. By a provider, it is made of the client's secret and
all that decides who gets in: so all of those sessions end when any of it changes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from itsdangerous import BadData, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

from app.configuration.single_sign_on import SingleSignOn

COOKIE = "identity_console"
PATH = "/console"
LASTS = 12 * 3600  # seconds
# Seconds after which the provider is asked again: until then it cannot take anybody's right away.
LASTS_BY_PROVIDER = 3600


class TimedSigner(TimestampSigner):
    """Signs by a key made of a secret and a purpose, and by the clock that it is given."""

    def __init__(self, secret: str, purpose: str, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        key = hmac.digest(secret.encode(), purpose.encode(), "sha256")
        super().__init__(key, salt=b"", key_derivation="none", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        """The time that a signature is made at, or looked at."""
        return int(self._now())

    def signed(self, texts: tuple[str, ...]) -> str:
        """The texts as a cookie."""
        return self.sign(base64_encode(json.dumps(texts, ensure_ascii=False))).decode()

    def unsigned(self, cookie: str, max_age: int) -> list[str] | None:
        """The texts of a cookie; None if it is older than `max_age` seconds, or is forged."""
        try:
            return list(json.loads(base64_decode(self.unsign(cookie, max_age=max_age))))
        except (BadData, ValueError):
            return None


class Sessions:
    """Makes and reads the cookies of people who have a password."""

    def __init__(self, lines: Mapping[str, str], now: Callable[[], float]) -> None:
        """`lines` have role and hash, by name; `now` gives Unix seconds."""
        purpose = "session of the console"
        self._signers = {name: TimedSigner(line, purpose, now) for name, line in lines.items()}

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


class SignedIn(NamedTuple):
    """Whom the provider has signed in, and as what."""

    subject: str
    name: str
    role: str


class ProviderSessions:
    """Makes and reads the cookies of people whom the provider has signed in."""

    def __init__(self, settings: SingleSignOn, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._signer = TimedSigner(secret_of(settings), "session by the provider", now)

    def cookie_of(self, who: SignedIn) -> str:
        """The cookie of a person, from now on for LASTS_BY_PROVIDER seconds."""
        return self._signer.signed(who)

    def read(self, cookie: str) -> SignedIn | None:
        """Whose cookie it is; None if it is nobody's any more, or is forged."""
        texts = self._signer.unsigned(cookie, LASTS_BY_PROVIDER)
        return None if texts is None else SignedIn(*texts)


def secret_of(settings: SingleSignOn) -> str:
    """What only our processes know, and all that decides who gets in by the provider."""
    decides = [
        settings.issuer,
        settings.client_id,
        settings.person_claim,
        settings.role_claim,
        settings.roles,
    ]
    return json.dumps([str(settings.client_secret), *decides])
