"""Which copy of which event is to be sent next. Time is passed in; nothing is sent here."""

import heapq
from collections import deque
from dataclasses import dataclass

from deploy.sandbox.endpoints import Endpoint
from deploy.sandbox.events import Event


@dataclass
class Copy:
    """One copy of an event for one endpoint."""

    event: Event
    endpoint: Endpoint
    ordered: bool  # keeps its place among the events of its session, at its first try
    tries: int = 0
    first_try: float = 0.0

    @property
    def line(self) -> tuple[str, str] | None:
        """The line that the copy waits in; None if it waits for no other."""
        if not self.ordered or self.tries:
            return None
        return self.endpoint.id, self.event.object["id"]


class Schedule:
    """Copies by the time they are due, those due together in the order they were made.

    The first tries of one session's events never overlap, so that they arrive as they were
    created; a retry holds up no other, as with Stripe.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Copy]] = []
        self._made = 0
        self._lines: dict[tuple[str, str], deque[Copy]] = {}
        self.pending = 0

    def add(self, copy: Copy, due: float) -> None:
        """A new copy, to be sent at `due`."""
        self.pending += 1
        self._push(copy, due)

    def take(self, now: float) -> Copy | None:
        """The next copy to be sent at `now`; it is under way until `done` or `again`."""
        while self._heap and self._heap[0][0] <= now:
            copy = heapq.heappop(self._heap)[2]
            if copy.line is None:
                return copy
            if copy.line not in self._lines:
                self._lines[copy.line] = deque()
                return copy
            self._lines[copy.line].append(copy)
        return None

    def next_due(self) -> float | None:
        """When `take` may return a copy; None for not before `add`, `done` or `again`."""
        return self._heap[0][0] if self._heap else None

    def done(self, copy: Copy) -> None:
        """A copy was delivered, or given up. Call it before counting its try."""
        self.pending -= 1
        self._move_up(copy)

    def again(self, copy: Copy, due: float) -> None:
        """A copy was not accepted: count its try, and send it again at `due`."""
        self._move_up(copy)
        copy.tries += 1
        self._push(copy, due)

    def _push(self, copy: Copy, due: float) -> None:
        self._made += 1
        heapq.heappush(self._heap, (due, self._made, copy))

    def _move_up(self, copy: Copy) -> None:
        if copy.line is None:
            return
        waiting = self._lines.pop(copy.line)
        while waiting:
            # Minus infinity: a copy that has waited in line goes before all others that are due.
            self._push(waiting.popleft(), float("-inf"))
