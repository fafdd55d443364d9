"""The open connections of one server: how many there may be, and how long each may let us wait.

One look a second at all of them finds those whose time is over. A timer for each request would cost
more than that, and one for each connection would have nobody to write a common line to the log.
"""

from __future__ import annotations

import asyncio
import heapq
import resource
from collections import Counter
from collections.abc import Collection
from enum import Enum
from typing import Protocol

from app.logs import get_logger

log = get_logger("connections")

# Open connections of a process. Each may hold a head of 96 KiB and a body of 512 KiB for ten
# seconds; honest senders are far fewer, and keep theirs for one request or many.
MAX_CONNECTIONS = 4_000
# Files left to all else that a process opens, and to what is accepted before we can look.
OTHER_FILES = 100
# Of the connections at the limit, the part that makes room: looking for them costs as much as
# accepting a hundred, so not for each that comes.
EVICTED = 1 / 20
# Seconds between looks.
LOOK_EVERY = 1.0


class Wait(Enum):
    """What a connection waits for from its sender."""

    FIRST = "first byte"  # of all
    HEAD = "head"  # its end
    REST = "rest of a body"  # of a request that is answered already; it is dropped
    NEXT = "next request"
    READING = "reading of an answer"
    CLOSING = "reading of the last answer"


# Seconds. Honest senders need a fraction of one; the longest is for reading over a slow line.
# That of NEXT is the server's keep-alive.
TIMEOUTS = {Wait.FIRST: 10.0, Wait.HEAD: 10.0, Wait.REST: 5.0, Wait.READING: 30.0}
TIMEOUTS[Wait.CLOSING] = TIMEOUTS[Wait.READING]
# Those that no honest sender comes to.
SUSPICIOUS = frozenset({Wait.HEAD, Wait.REST, Wait.READING})


class Connection(Protocol):
    """What is to be known of a connection, and done to it."""

    waits_for: Wait | None  # None: for us
    since: float  # on the event loop's clock: when that began

    def end(self) -> None:
        """Its time is over."""

    def evict(self) -> None:
        """Close it at once, whatever it waits for."""


class Connections:
    """Looks after the open connections of one server."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, opened: Collection[Connection], keep_alive: float
    ) -> None:
        """`opened` is kept by the server; `keep_alive` is in seconds."""
        self._loop = loop
        self._opened = opened
        self._timeouts = {**TIMEOUTS, Wait.NEXT: keep_alive}
        self._timer: asyncio.TimerHandle | None = None
        self._room_said = -LOOK_EVERY
        self.limit = connection_limit()

    def admit(self) -> bool:
        """Make room for one that was just opened. False if all others are at work."""
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_EVERY, self._look)
        return len(self._opened) <= self.limit or self._make_room()

    def _make_room(self) -> bool:
        """Close those that have let us wait the longest. One that was just opened comes last."""
        waiting = [connection for connection in self._opened if connection.waits_for is not None]
        surplus = len(self._opened) - self.limit
        wanted = min(len(waiting) - 1, surplus + int(self.limit * EVICTED))
        for connection in heapq.nsmallest(wanted, waiting, key=lambda each: each.since):
            connection.evict()
        now = self._loop.time()
        if now - self._room_said >= LOOK_EVERY:  # under a flood, one line a second
            self._room_said = now
            log.warning(
                "too many connections: the longest idle are closed", connection_limit=self.limit
            )
        return wanted >= surplus

    def _look(self) -> None:
        """End those whose time is over."""
        now = self._loop.time()
        ended: Counter[Wait] = Counter()
        for connection in tuple(self._opened):
            wait = connection.waits_for
            if wait is not None and now - connection.since >= self._timeouts[wait]:
                ended[wait] += 1
                connection.end()
        slow = {wait.value: count for wait, count in ended.items() if wait in SUSPICIOUS}
        if slow:
            log.warning("senders were too slow, and were disconnected", waited_for=slow)
        self._timer = self._loop.call_later(LOOK_EVERY, self._look) if self._opened else None


def connection_limit() -> int:
    """How many connections this process may have, by its files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, files - OTHER_FILES))


def raise_file_limit() -> None:
    """Let this process and its children open the files that MAX_CONNECTIONS takes, if they may.

    What a shell or systemd grants by default, 1,024, is for programs that use `select`.
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if files != resource.RLIM_INFINITY and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
