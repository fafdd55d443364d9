"""What the doctor examines: the settings, and the stores that they name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from app.configuration.settings import WEB_NEEDS, Settings
from app.ledger.engine import LedgerUnavailable
from app.ledger.failures import Place
from app.ledger.ledger import Ledger
from app.stores import Stores, open_stores
from app.stripe.client import StripeApi


class Skipped(Exception):
    """The check cannot be made because its setting is wrong; the text says so."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The stores of the settings that can be read, and what is wrong with the others."""

    stores: Stores
    problems: tuple[str, ...]
    now: Callable[[], float]

    @classmethod
    def open(cls, environment: Mapping[str, str], now: Callable[[], float]) -> Deployment:
        """Read the environment, with defaults for what is wrong in it. Nothing is connected yet.

        `now` gives Unix seconds.
        """
        settings, problems = Settings.read(environment, needed=WEB_NEEDS)
        return cls(open_stores(settings), tuple(problems), now)

    @property
    def settings(self) -> Settings:
        """The settings; those that are wrong have their defaults."""
        return self.stores.settings

    def require(self, *variables: str) -> None:
        """Raises Skipped if one of the variables is missing or wrong, and so has its default."""
        wrong = {_variable_of(problem): problem for problem in self.problems}
        for variable in variables:
            if variable in wrong:
                absent = wrong[variable].startswith(f"{variable} is not set")
                raise Skipped(f"{variable} is {'not set' if absent else 'wrong'}")

    def engine(self) -> Engine:
        """The database. Raises LedgerUnavailable rather than have SQLite create an empty file."""
        self.require("DATABASE_URL")
        engine = self.stores.engine
        file = engine.url.database
        if engine.dialect.name == "sqlite" and not (file and Path(file).exists()):
            raise LedgerUnavailable(*Place.of(engine.url).explain("file_missing"))
        return engine

    def ledger(self) -> Ledger:
        """The ledger. Raises as `engine` does."""
        self.engine()
        return self.stores.ledger

    def stripe(self) -> StripeApi:
        """Stripe's API. Raises Skipped if its key or address is wrong, or there is no key."""
        self.require("STRIPE_API_KEY", "STRIPE_API_BASE")
        if self.stores.stripe is None:
            raise Skipped("STRIPE_API_KEY is not set")
        return self.stores.stripe

    def close(self) -> None:
        """Close all connections."""
        self.stores.close()


def _variable_of(problem: str) -> str:
    """Each problem begins with the name of its variable."""
    return problem.partition(" ")[0]
