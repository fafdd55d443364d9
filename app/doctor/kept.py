"""The last examination, kept for all who look at it: to look must neither ask Stripe nor write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from threading import Lock
from typing import NamedTuple, cast

from redis import Redis

from app.doctor.result import Finding
from app.doctor.runner import examine
from app.domain.durations import DAY
from app.domain.errors import QueueRefused, QueueUnavailable
from app.queue.connection import translated_errors

KEY = "identity:examination"
# Seconds within which all who ask for an examination are given the same one.
FRESH = 10


class Examination(NamedTuple):
    """What was found, and when: in Unix seconds."""

    at: int
    findings: tuple[Finding, ...]


class Examinations:
    """Makes them, one at a time in this process, and remembers the last one of any process.

    In Redis, and here for as long as Redis is away, which is when it is wanted most.
    """

    def __init__(
        self, redis: Redis, variables: Mapping[str, str], now: Callable[[], float]
    ) -> None:
        """`variables` are the environment to be examined; `now` gives Unix seconds."""
        self._redis = redis
        self._variables = variables
        self._now = now
        self._own: Examination | None = None
        self._one_at_a_time = Lock()

    def last(self) -> Examination | None:
        """The newest that is known of the last day; None if there is none."""
        known = [found for found in (self._own, self._kept()) if found is not None]
        return max(known, key=lambda found: found.at, default=None)

    def run(self) -> Examination:
        """Examine now, which takes up to twelve seconds, unless somebody has just done it."""
        with self._one_at_a_time:
            last = self.last()
            if last is not None and 0 <= self._now() - last.at < FRESH:
                return last
            findings = examine(self._variables, now=self._now)
            self._own = Examination(int(self._now()), tuple(findings))
            self._keep(self._own)
            return self._own

    def _keep(self, found: Examination) -> None:
        text = json.dumps([found.at, [asdict(finding) for finding in found.findings]])
        try:
            with translated_errors():
                self._redis.set(KEY, text, ex=DAY)
        except (QueueUnavailable, QueueRefused):
            return  # it is one of the findings

    def _kept(self) -> Examination | None:
        try:
            with translated_errors():
                text = cast(bytes | None, self._redis.get(KEY))
            if text is None:
                return None
            at, findings = json.loads(text)
            return Examination(int(at), tuple(Finding(**finding) for finding in findings))
        except (QueueUnavailable, QueueRefused):
            return None
        except (ValueError, TypeError):  # another release's
            return None
