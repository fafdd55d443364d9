"""What a page shows, what an action gives, and what says that there is neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.domain.errors import Rejected, Transient


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows."""

    template: str
    title: str
    data: Any  # what `.json` answers, and the template sees as `data`
    extra: Mapping[str, Any] = field(default_factory=dict)  # for the template alone
    status: int = 200
    location: str = ""  # the page to go to instead; `.json` stays


@dataclass(frozen=True, slots=True)
class Done:
    """What an action gives."""

    location: str  # where the browser goes
    target: Mapping[str, str]  # ids, for the audit
    reason: str = ""


class NotFound(Rejected):
    """There is no such thing; the text says what there is none of."""


class NotConfirmed(Rejected):
    """What had to be typed to confirm an action was not typed."""


class Refused(Rejected):
    """An action was refused, and what is shown instead says more than a line can."""

    def __init__(self, message: str, view: View) -> None:
        """`view` is shown with its own status."""
        super().__init__(message)
        self.view = view


class Busy(Transient):
    """The console has more to do than it may: try again in a moment."""

    def __init__(self) -> None:
        """The docstring is what the person is told."""
        super().__init__("the console has more to do than it may: try again in a moment")
