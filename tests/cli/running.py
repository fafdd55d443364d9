"""Commands in this process, on real stores and a local Stripe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """Its standard output where that is one JSON object."""
        return dict(json.loads(self.out))


Run = Callable[..., Ran]


def runner(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `identity` with the environment, as it is then."""

    def run(*arguments: str) -> Ran:
        with monkeypatch.context() as patch:
            for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "REDIS_URL", "DATABASE_URL"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            patch.setattr("sys.argv", ["identity", *arguments])
            capsys.readouterr()
            code = 0
            try:
                main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return run
