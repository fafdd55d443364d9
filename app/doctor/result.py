"""What a check finds, and how it writes lengths of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from app.domain.durations import HOUR, MINUTE
from app.domain.errors import StoreFailure

State: TypeAlias = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was checked, its state, and what to do about it."""

    name: str
    state: State
    message: str
    hint: str = ""  # "" if there is nothing to do


def worst(findings: Sequence[Finding]) -> State:
    """The state of the deployment: that of its worst finding."""
    states = {finding.state for finding in findings}
    return "wrong" if "wrong" in states else "warning" if "warning" in states else "ok"


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """As HTTP and the command line give them."""
    return {"state": worst(findings), "checks": [asdict(finding) for finding in findings]}


def in_minutes_or_hours(seconds: float) -> str:
    """`7 min`, or from two hours on `2 h`, rounded down."""
    if seconds < 2 * HOUR:
        return f"{int(seconds / MINUTE)} min"
    return f"{int(seconds / HOUR)} h"


def hint_of(failure: StoreFailure) -> str:
    """What to do about a store that cannot be used, as a sentence."""
    return f"{failure.advice[:1].upper()}{failure.advice[1:]}." if failure.advice else ""
