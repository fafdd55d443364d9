"""The environment, read once in the entry points into one frozen object."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from starlette.datastructures import Secret

from app.addresses import check_redis_url, parse_database_url
from app.domain.change import Policy
from app.domain.errors import Misconfigured

T = TypeVar("T")

# A random token of 16 characters cannot be guessed.
MIN_TOKEN = 16
# Bytes. Standard Webhooks asks for a secret of 24 to 64.
MIN_NOTIFY_KEY = 24
DEFAULT_DATABASE = "sqlite:///identity.db"
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
DEFAULT_STRIPE_API = "https://api.stripe.com"
# The variables that the web process does not start without.
WEB_NEEDS = ("STRIPE_WEBHOOK_SECRET",)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. Secrets are masked when printed."""

    webhook_secrets: tuple[Secret, ...] = ()
    stripe_api_key: Secret | None = None
    stripe_restricted_key: Secret | None = None
    stripe_api_base: str = DEFAULT_STRIPE_API
    redis_url: Secret = field(default_factory=lambda: Secret(DEFAULT_REDIS))
    redis_verify: bool = True
    database_url: Secret = field(default_factory=lambda: Secret(DEFAULT_DATABASE))
    api_tokens: tuple[Secret, ...] = ()
    reference_metadata_keys: tuple[str, ...] = ()
    notify_url: str | None = None
    notify_secrets: tuple[Secret, ...] = ()
    notify_allow_private: bool = False
    subscriber: str | None = None
    notify_stream: str | None = None
    max_attempts: int | None = None
    redact_after_days: int | None = None
    port: int = 8000
    web_concurrency: int = 1
    event_workers: int = 2
    effect_workers: int = 1
    lease_seconds: int = 60
    log_format: str = "json"

    @property
    def livemode(self) -> bool:
        """The mode of the API key: test if there is none."""
        return self.stripe_api_key is not None and "_live_" in str(self.stripe_api_key)

    @property
    def policy(self) -> Policy:
        """What the handlers may ask for under these settings."""
        return Policy(
            recheck=self.stripe_api_key is not None,
            notify=bool(self.notify_url or self.subscriber or self.notify_stream),
            max_attempts=self.max_attempts,
            redact_after_days=self.redact_after_days,
        )

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], *, needed: Collection[str] = ()
    ) -> Settings:
        """Read every variable; `needed` names those that this process cannot start without.

        Raises Misconfigured with a line for each that is missing or wrong, all at once.
        """
        settings, problems = cls.read(environment, needed=needed)
        if problems:
            raise Misconfigured(problems)
        return settings

    @classmethod
    def read(
        cls, environment: Mapping[str, str], *, needed: Collection[str] = ()
    ) -> tuple[Settings, list[str]]:
        """The same, but with defaults for what is missing or wrong, and a line for each of it."""
        reader = _Reader(environment, needed)
        return reader.settings(), reader.problems


class _Reader:
    """Reads variables one by one and gathers what is wrong with them."""

    def __init__(self, environment: Mapping[str, str], needed: Collection[str]) -> None:
        self.environment = {name: text.strip() for name, text in environment.items()}
        self.problems = [f"{name} is not set" for name in needed if not self.environment.get(name)]

    def settings(self) -> Settings:
        settings = Settings(
            webhook_secrets=self.read("STRIPE_WEBHOOK_SECRET", _webhook_secrets, ()),
            stripe_api_key=self.read("STRIPE_API_KEY", _api_key, None),
            stripe_restricted_key=self.read("STRIPE_RESTRICTED_KEY", _api_key, None),
            stripe_api_base=self.read("STRIPE_API_BASE", _http_url, DEFAULT_STRIPE_API),
            redis_url=self.read("REDIS_URL", _redis_url, Secret(DEFAULT_REDIS)),
            redis_verify=self.read("REDIS_TLS_VERIFY", _switch, True),
            database_url=self.read("DATABASE_URL", _database_url, Secret(DEFAULT_DATABASE)),
            api_tokens=self.read("API_TOKENS", _tokens, ()),
            reference_metadata_keys=self.read("REFERENCE_METADATA_KEYS", _list, ()),
            notify_url=self.read("NOTIFY_URL", _callback_url, None),
            notify_secrets=self.read("NOTIFY_SECRET", _notify_secrets, ()),
            notify_allow_private=self.read("NOTIFY_ALLOW_PRIVATE", _switch, False),
            subscriber=self.read("SUBSCRIBER", _function_path, None),
            notify_stream=self.read("NOTIFY_STREAM", _stream_name, None),
            max_attempts=self.read("MAX_ATTEMPTS", _whole(1, 1000), None),
            redact_after_days=self.read("REDACT_AFTER_DAYS", _whole(1, 3650), None),
            port=self.read("PORT", _whole(0, 65535), 8000),
            web_concurrency=self.read("WEB_CONCURRENCY", _whole(1, 64), 1),
            event_workers=self.read("EVENT_WORKERS", _whole(1, 64), 2),
            effect_workers=self.read("EFFECT_WORKERS", _whole(1, 64), 1),
            lease_seconds=self.read("LEASE_SECONDS", _whole(2, 3600), 60),
            log_format=self.read("LOG_FORMAT", _choice("json", "text"), "json"),
        )
        # A dyno's disk is lost with the dyno, and the ledger would be too.
        wrong = any(problem.startswith("DATABASE_URL ") for problem in self.problems)
        sqlite = str(settings.database_url).startswith("sqlite")
        if self.environment.get("DYNO") and sqlite and not wrong:
            self.problems.append(
                "DATABASE_URL is SQLite, which is lost with the dyno: add a PostgreSQL"
            )
        if settings.notify_url and not self.environment.get("NOTIFY_SECRET"):
            self.problems.append("NOTIFY_SECRET is not set: what goes to NOTIFY_URL is signed")
        return settings

    def read(self, name: str, convert: Callable[[str], T], default: T) -> T:
        text = self.environment.get(name, "")
        if not text:
            return default
        try:
            return convert(text)
        except ValueError as error:  # its text is one of those below, and holds no value
            self.problems.append(f"{name} {error}")
            return default


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _webhook_secrets(text: str) -> tuple[Secret, ...]:
    secrets = _list(text)
    if not secrets or not all(re.match(r"whsec_\S", secret) for secret in secrets):
        raise ValueError("has to be one or several signing secrets (whsec_…), comma-separated")
    return tuple(Secret(secret) for secret in secrets)


def _notify_secrets(text: str) -> tuple[Secret, ...]:
    for secret in _list(text):
        try:
            encoded = secret.removeprefix("whsec_").rstrip("=")
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            key = b""
        if not secret.startswith("whsec_") or len(key) < MIN_NOTIFY_KEY:
            raise ValueError("has to be one or several whsec_… of 24 bytes or more in base64")
    return tuple(Secret(secret) for secret in _list(text))


def _function_path(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        raise ValueError("has to be package.module:function")
    return text


def _stream_name(text: str) -> str:
    if not re.fullmatch(r"[\w:.\-]{1,128}", text) or text.startswith(("rq:", "identity:")):
        raise ValueError("has to be a name of letters, digits and _:.- that is not one of ours")
    return text


def _api_key(text: str) -> Secret:
    if not re.match(r"[sr]k_(test|live)_\S+\Z", text):
        raise ValueError("has to be a secret or restricted key (sk_test_…, rk_live_…)")
    return Secret(text)


def _tokens(text: str) -> tuple[Secret, ...]:
    tokens = _list(text)
    if any(len(token) < MIN_TOKEN or not token.isascii() for token in tokens):
        raise ValueError(f"has a token of under {MIN_TOKEN} ASCII characters")
    return tuple(Secret(token) for token in tokens)


def _http_url(text: str) -> str:
    problem = "has to be an http:// or https:// address"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(problem) from None  # the error's own text quotes the address
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(problem)
    return text.rstrip("/")


def _callback_url(text: str) -> str:
    _http_url(text)
    return text  # a slash at its end is part of the path, and no redirect is followed


def _redis_url(text: str) -> Secret:
    check_redis_url(text)
    return Secret(text)


def _database_url(text: str) -> Secret:
    parse_database_url(text)
    return Secret(text)


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
            raise ValueError(f"has to be a whole number from {minimum} to {maximum}")
        return int(text)

    return convert


def _choice(*words: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"has to be {' or '.join(words)}")
        return text

    return convert


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("has to be 0 or 1")
    return text == "1"
