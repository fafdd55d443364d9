"""What a job should be, for the test that holds the queue against a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Model:
    """What a job should be."""

    version: int  # of its payload: which of the accepts it holds
    place: str = "queued"
    attempts: int = 0
    expiries: int = 0
    token: str = ""
    time_is_over: bool = False  # of its lease, or of its schedule's delay
    by_rq: bool = False  # RQ's tools have queued it: the next claim forgets its counts

    def move(self, place: str, token: str = "") -> None:
        """Put the job there."""
        self.place, self.token, self.time_is_over, self.by_rq = place, token, False, False
