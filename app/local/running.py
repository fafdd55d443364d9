"""What a running `dev` tells other terminals: the settings that commands need to work on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.local.folder_lock import is_in_use
from app.local.stack import Stack

ENVIRONMENT = "environment.json"
# Its own folder, inside the other's: an account at Stripe and the sandbox share no data.
OWN_ACCOUNT = "stripe-account"
# The person's own secrets: they have them, and a file is one place more to lose them from.
THEIRS = ("STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY")
# Where the processes listen; what a person runs beside them may use the same names.
OURS_ALONE = ("HOST", "PORT")


class NoneRuns(Exception):
    """No `dev` runs; the text says where none does."""


@dataclass(frozen=True, slots=True)
class Running:
    """A `dev` that runs."""

    folder: str
    web: str
    sandbox: str | None  # None: it is an account at Stripe
    token: str
    environment: dict[str, str]  # what commands need

    @property
    def exports(self) -> dict[str, str]:
        """What another terminal sets: the settings, and what the docs' `curl` commands name."""
        stripe = {} if self.sandbox is None else {"STRIPE": self.sandbox}
        return {**self.environment, "API": self.web, **stripe, "TOKEN": self.token}


@contextmanager
def published(stack: Stack) -> Iterator[None]:
    """Let other terminals find the stack until the end of the block."""
    own = stack.own_stripe is not None
    left_out = (*OURS_ALONE, *(THEIRS if own else ()))
    running = Running(
        folder=str(stack.folder),
        web=stack.web,
        sandbox=None if own else stack.sandbox,
        token=stack.secrets.api_token,
        environment={
            name: value for name, value in stack.environment.items() if name not in left_out
        },
    )
    file = stack.folder / ENVIRONMENT
    write_private(file, json.dumps(asdict(running)))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find_running(folder: Path) -> Running:
    """The `dev` of the folder, or else of its account at Stripe. Raises NoneRuns, OSError."""
    for each in (folder, folder / OWN_ACCOUNT):
        file = each / ENVIRONMENT
        # The file alone may be one that a killed `dev` has left.
        with suppress(FileNotFoundError):
            running = Running(**json.loads(file.read_text()))
            if is_in_use(each):
                return running
    raise NoneRuns(f"no `dev` is up in {folder}: start it in another terminal")


def write_private(file: Path, text: str) -> None:
    """Write the file as a whole, for its owner alone: whoever reads it sees all of it or none."""
    draft = file.with_name(f"{file.name}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(text)
    draft.replace(file)
