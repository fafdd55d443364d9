"""The environment, read once in the entry points into one frozen object."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from app.configuration.addresses import leaves_host
from app.configuration.console import FullEnvironment
from app.configuration.extras import trace_problems
from app.configuration.variables import Variable, Wrong, variables_of
from app.domain.change import Policy
from app.domain.durations import DAY
from app.domain.errors import Misconfigured
from app.domain.snapshot import LAST_METADATA_KEY, MetadataKeys

VARIABLES = variables_of(FullEnvironment)
# The variables that web does not start without, and that nothing which opens the ledger does.
WEB_NEEDS = tuple(each.name for each in VARIABLES.values() if "web" in each.needed_by)
LEDGER_NEEDS = ("DATABASE_URL",)
# What a variable that is not set should be.
WANTED = {
    "STRIPE_WEBHOOK_SECRET": "the signing secret of the webhook endpoint (whsec_…)",
    "DATABASE_URL": "the ledger, as postgresql://user:password@host:5432/name or, on one host "
    "only, sqlite:////folder/file",
}


@dataclass(frozen=True, slots=True)
class Settings(FullEnvironment):
    """What the environment says, and what follows from it. Secrets are masked when printed."""

    @property
    def livemode(self) -> bool:
        """The mode of the API key: test if there is none."""
        return self.stripe_api_key is not None and "_live_" in str(self.stripe_api_key)

    @property
    def metadata_keys(self) -> MetadataKeys:
        """Where in a session's metadata its reference and its purpose stand."""
        return MetadataKeys(self.reference_metadata_keys, self.purpose_metadata_key)

    @property
    def reverify_after(self) -> int | None:
        """REVERIFY_AFTER_DAYS in seconds; None: a verification does not expire."""
        return None if self.reverify_after_days is None else self.reverify_after_days * DAY

    @property
    def policy(self) -> Policy:
        """What the handlers may ask for under these settings."""
        return Policy(
            recheck=self.stripe_api_key is not None,
            notify=bool(self.notify_url or self.subscriber or self.notify_stream),
            max_attempts=self.max_attempts,
        )

    @property
    def traces(self) -> bool:
        """Whether traces are exported."""
        asked = self.otlp_endpoint is not None or self.otlp_traces_endpoint is not None
        return asked and not self.otel_disabled

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
        self.problems = [
            f"{name} is not set" + (f": {WANTED[name]}" if name in WANTED else "")
            for name in needed
            if not self.environment.get(name)
        ]

    def settings(self) -> Settings:
        values = {field: self.read(variable) for field, variable in VARIABLES.items()}
        settings = Settings(**values)
        if self.environment.get("DYNO") and str(settings.database_url).startswith("sqlite"):
            self.refuse_sqlite()
        if settings.purpose_metadata_key in (*settings.reference_metadata_keys, LAST_METADATA_KEY):
            self.problems.append("PURPOSE_METADATA_KEY is a key that references are read from")
        if settings.notify_url and not self.environment.get("NOTIFY_SECRET"):
            self.problems.append("NOTIFY_SECRET is not set: what goes to NOTIFY_URL is signed")
        keys = f"{settings.stripe_api_key} {settings.stripe_restricted_key}"
        if leaves_host(settings.stripe_api_base) and "_live_" in keys:
            self.problems.append(
                "STRIPE_API_BASE is http:// to another host, where no live key may be sent"
            )
        if settings.traces:
            self.problems += trace_problems(self.environment)
        if not any(problem.startswith("CONSOLE") for problem in self.problems):
            self.problems += settings.console_problems()
        return settings

    def refuse_sqlite(self) -> None:
        """A dyno's disk is lost with the dyno, and the ledger would be too."""
        if any(problem.startswith("DATABASE_URL ") for problem in self.problems):
            return
        is_set = bool(self.environment.get("DATABASE_URL"))
        what = "is SQLite, which is" if is_set else "is not set, and SQLite would be"
        self.problems.append(f"DATABASE_URL {what} lost with the dyno: add a PostgreSQL")

    def read(self, variable: Variable) -> Any:
        text = self.environment.get(variable.name, "")
        if not text:
            return variable.default
        try:
            return variable.form.read(text)
        except Wrong as error:
            self.problems += [f"{variable.name} {problem}" for problem in error.problems]
            return variable.default
        except ValueError as error:  # its text is the form's own, and holds no value
            self.problems.append(f"{variable.name} {error}")
            return variable.default
