"""What the doctor looks at: the environment, and the stores that it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import Misconfigured
from app.ledger.engine import LedgerUnavailable, open_engine
from app.ledger.upkeep import Upkeep
from app.queue.connection import open_redis
from app.settings import DEFAULT_DATABASE, DEFAULT_REDIS, Settings
from app.stripe_api import StripeApi, open_stripe

# What the web process does not start without.
NEEDED = ("STRIPE_WEBHOOK_SECRET",)


class NotLooked(Exception):
    """The check cannot be made, as its setting is wrong; its text says so."""


@dataclass(frozen=True, slots=True)
class Patient:
    """Settings as far as they can be read, and what is wrong with the others."""

    settings: Settings
    problems: tuple[str, ...]
    redis: Redis
    engine: Engine
    stripe: StripeApi | None
    now: Callable[[], float]

    def asks(self, *variables: str) -> None:
        """Raises NotLooked where one of the variables is wrong: its default is not the team's."""
        wrong = {problem.partition(" ")[0] for problem in self.problems}
        for variable in variables:
            if variable in wrong:
                raise NotLooked(f"{variable} is wrong")

    def ledger(self) -> Engine:
        """The database. Raises LedgerUnavailable rather than have SQLite make an empty file."""
        self.asks("DATABASE_URL")
        file = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and not (file and Path(file).exists()):
            raise LedgerUnavailable("there is no such SQLite file")
        return self.engine

    def upkeep(self) -> Upkeep:
        """What the ledger tells. Raises as `ledger`."""
        return Upkeep(self.ledger())

    def stripe_api(self) -> StripeApi:
        """Stripe's API. Raises NotLooked where the key or the address of it is wrong."""
        self.asks("STRIPE_API_KEY", "STRIPE_API_BASE")
        if self.stripe is None:
            raise NotLooked("STRIPE_API_KEY is not set")
        return self.stripe

    def close(self) -> None:
        """Give the connections back."""
        self.redis.close()
        self.engine.dispose()


def admit(environment: Mapping[str, str], now: Callable[[], float]) -> Patient:
    """Read the environment, and go on without what is wrong in it. Nothing is connected yet."""
    settings, found = _read(environment)
    problems = list(found)
    # Neither client's own message is told: both may quote a part of the address.
    try:
        redis = open_redis(str(settings.redis_url), verify=settings.redis_verify)
    except ValueError:
        problems.append("REDIS_URL is not an address that Redis' client can read")
        redis = open_redis(DEFAULT_REDIS)
    try:
        engine = open_engine(str(settings.database_url))
    except (Misconfigured, ValueError, SQLAlchemyError):
        problems.append("DATABASE_URL is not an address that SQLAlchemy can read")
        engine = open_engine(DEFAULT_DATABASE)
    return Patient(settings, tuple(problems), redis, engine, open_stripe(settings), now)


def _read(environment: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    try:
        return Settings.from_environment(environment, needed=NEEDED), ()
    except Misconfigured as error:
        problems = tuple(error.problems)
    # Each problem begins with its variable's name. DYNO makes one of another's default.
    wrong = {problem.partition(" ")[0] for problem in problems} | {"DYNO"}
    rest = {name: text for name, text in environment.items() if name not in wrong}
    return Settings.from_environment(rest), problems


def address(url: str) -> str:
    """Where an address points to, without what may be secret in it: user, password, options."""
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return f"SQLite file {rest.partition('?')[0].removeprefix('/')}"
    server, *beyond = re.split(r"[/?#]", rest, maxsplit=1)
    host = server.rpartition("@")[2]
    if "@" in "".join(beyond):  # a password with a slash in it: what precedes that is no host
        return "its server"
    return host or "a socket"
