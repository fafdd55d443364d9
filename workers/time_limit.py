"""How long a job may run: RQ's own limit, but for parts of a second as well."""

from __future__ import annotations

import signal

from rq.timeouts import UnixSignalDeathPenalty


class TimeLimit(UnixSignalDeathPenalty):
    """Raises an exception in the main thread when the time is over."""

    def setup_death_penalty(self) -> None:
        """Set the alarm."""
        signal.signal(signal.SIGALRM, self.handle_death_penalty)
        signal.setitimer(signal.ITIMER_REAL, self._timeout)
