"""What a handler is given to decide on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.session import Observation, Session, seen
from app.domain.standing import Standing


@dataclass(frozen=True, slots=True)
class Policy:
    """What the team has switched on."""

    recheck: bool = True  # off if there is no API key to ask with
    notify: bool = False
    max_attempts: int | None = None


class Change(NamedTuple):
    """What an observation did: its session and its reference's standing, before and after.

    The standings are None for an orphan. A `…_before` is None for what was never seen.
    """

    observation: Observation
    session_before: Session | None
    session: Session
    standing_before: Standing | None
    standing: Standing | None
    policy: Policy
    sessions: Collection[Session] = ()  # all of the reference's, after the observation

    @property
    def standing_changed(self) -> bool:
        """Whether the reference's standing differs from before the observation."""
        return self.standing is not None and self.standing != self.standing_before

    @property
    def decided(self) -> bool:
        """Whether this observation, not an earlier or a later one, gave the session its status.

        An API answer only counts if it shows something new: a sweep sees the same many times.
        """
        shown = seen(self.observation)
        if self.session.register != shown.register:
            return False
        before = self.session_before
        return bool(shown.event_id) or before is None or before.status_shown != shown.status_shown
