"""Carry out an operation: chunk by chunk, for as long as the lease is ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from app.batches import batches
from app.domain.errors import IdentityError, Permanent, Rejected, StoreFailure, Transient
from app.ledger.operations import Operation
from app.operations.bulk.selection import LetterSet, Pin, digest_of
from app.operations.dlq.discard import discard
from app.operations.dlq.replay import MAX_OUTSTANDING, STALL_TIMEOUT, Replay, ReplayProgress
from app.queue.backlog import read_backlog
from app.queue.dead_letters import DeadLetter
from app.queue.pausing import read_pause
from app.stores import Stores

# Letters between two writes of how far it has come. A discarded letter costs statements of its own.
CHUNK = {"replay": MAX_OUTSTANDING, "discard": 100}
# Seconds between two signs of life, at which it is also seen that somebody wants it stopped.
HEARTBEAT = 1.0
PAUSED = "the workers are paused"
CROWDED = "the queue is full: the workers first do what is in it"
NO_WORKER = f"nothing has ended for {STALL_TIMEOUT:.0f} s: does a worker run (`python -m workers`)?"


class _Stopped(Exception):
    """Somebody wants it stopped."""


class _Left(Exception):
    """It is left to whoever claims it next."""


class _Lost(_Left):
    """Somebody else has claimed it, or it is over."""


class _Chunk(NamedTuple):
    """Letters that are done together."""

    letters: Sequence[DeadLetter]
    first: float  # places
    last: float


class Carrier:
    """One process' hands for operations. What it leaves in the middle, the next goes on with."""

    def __init__(
        self,
        stores: Stores,
        holder: str,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool],
    ) -> None:
        """`holder` names the process in the ledger; `now` gives Unix seconds.

        `wait` lets so many seconds pass, or fewer; True: the process is to end.
        """
        self._stores = stores
        self._holder = holder
        self._now = now
        self._clock = clock
        self._wait = wait
        self._operation: Operation
        self._alive_at = 0.0

    def run_once(self) -> Operation | None:
        """Claim an operation and carry it out; what has become of it. None if there was none.

        Raises the errors of Redis and of the ledger: it is left as it is then.
        """
        claimed = self._stores.operations.claim(self._holder, int(self._now()))
        if claimed is None:
            return None
        self._operation = claimed
        self._alive_at = self._clock()
        try:
            self._carry_out()
            self._end("done", gone=max(0, self._operation.total - self._operation.done))
        except _Stopped:
            self._end("stopped")
        except _Lost:
            return self._operation
        except _Left as why:
            self._leave(str(why))
        except Transient as error:
            with suppress(StoreFailure):
                self._leave(str(error))
            raise
        except (Permanent, Rejected) as error:
            with suppress(IdentityError, _Stopped, _Left):
                self._settle()
            self._end("failed", note=str(error))
        return self._operation

    def _carry_out(self) -> None:
        self._settle()
        self._count()
        operation = self._operation
        chosen, pin = _set_of(operation)
        start = pin.place if operation.position is None else operation.position
        letters = self._stores.dead_letters(operation.queue)
        rate, most, due = operation.rate, CHUNK[operation.kind], self._clock()
        size = most if rate is None else max(1, min(most, int(rate)))
        for placed in batches(chosen.of(letters, pin.moment, start), size):
            left = operation.total - self._operation.done
            if left <= 0:  # no more than was agreed to, whatever RQ's tools have put there
                return
            self._await_room()
            self._sleep(due - self._clock())
            found = placed[:left]
            due = self._clock() + (0 if rate is None else len(found) / rate)
            self._do(_Chunk([letter for _, letter in found], found[0][0], found[-1][0]))

    def _count(self) -> None:
        """Count what the preview did not, before the first letter is done."""
        operation = self._operation
        chosen, pin = _set_of(operation)
        if operation.position is not None or pin.chosen == digest_of(operation.kind, chosen):
            return
        letters = self._stores.dead_letters(operation.queue)
        total = 0
        for _ in chosen.of(letters, pin.moment, pin.place):
            total += 1
            self._look()
        self._change(total=total, note="")

    def _settle(self) -> None:
        """Count what was done of a chunk that was broken off: what is not dead any more."""
        operation = self._operation
        if operation.position is None or operation.chunk_end is None:
            return
        chosen, pin = _set_of(operation)
        letters = self._stores.dead_letters(operation.queue)
        left = 0
        for place, _ in chosen.of(letters, pin.moment, operation.position):
            if place > operation.chunk_end:
                break
            left += 1
        done = operation.done + max(0, operation.chunk_size - left)
        self._change(done=done, chunk_end=None, chunk_size=0)

    def _do(self, chunk: _Chunk) -> None:
        """Do the letters of a chunk, and write what came of them.

        What it cannot say, as Redis or the ledger went away, is settled by whoever goes on.
        """
        size = len(chunk.letters)
        self._change(position=chunk.first, chunk_end=chunk.last, chunk_size=size, note="")
        operation = self._operation
        queue, ledger = self._stores.queue(operation.queue), self._stores.ledger
        if operation.kind == "discard":
            # Read again: since their page was read, a redaction may have taken names out of them.
            letters = self._stores.dead_letters(operation.queue)
            placed = letters.placed_of([letter.id for letter in chunk.letters])
            fresh = [letter for place, letter in placed if place >= chunk.first]
            done = discard(queue, ledger, fresh, operation.reason, int(self._now()))
            self._record(ReplayProgress(replayed=done), chunk)
            return
        run = Replay(queue, ledger, now=self._now, clock=self._clock, sleep=self._sleep)
        try:
            run.run([letter.id for letter in chunk.letters])
        except (_Stopped, _Left):  # while it waited for outcomes: all of the chunk is back
            self._record(run.so_far, chunk)
            raise
        self._record(run.so_far, chunk)

    def _record(self, so_far: ReplayProgress, chunk: _Chunk) -> None:
        operation = self._operation
        self._change(
            done=operation.done + so_far.replayed,
            failed=operation.failed + so_far.failed_again,
            position=chunk.last,
            chunk_end=None,
            chunk_size=0,
            note=NO_WORKER if so_far.stalled else "",
        )

    def _await_room(self) -> None:
        """What is new does not wait behind what is old."""
        self._look()
        if self._operation.kind == "discard":
            return
        spec = self._stores.queue(self._operation.queue).spec
        while read_backlog(self._stores.redis, spec).counts["queued"] >= MAX_OUTSTANDING:
            if not self._operation.note:
                self._change(note=CROWDED)
            self._sleep(HEARTBEAT)

    def _sleep(self, seconds: float) -> None:
        """Let time pass, and see meanwhile whether to go on."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            if self._wait(min(left, HEARTBEAT)):
                raise _Left("")
            self._look()

    def _look(self) -> None:
        """Give a sign of life now and then. Raises _Stopped and _Left."""
        if self._clock() - self._alive_at < HEARTBEAT:
            return
        if read_pause(self._stores.redis) is not None:
            raise _Left(PAUSED)
        self._change()

    def _change(self, **columns: Any) -> None:
        """Write how far it has come. Raises _Stopped if that is asked for, and _Lost."""
        state = self._write(**columns)
        self._alive_at = self._clock()
        if state is None:
            raise _Lost
        self._operation = replace(self._operation, **columns)
        if state == "stopping":
            raise _Stopped

    def _end(self, state: str, **columns: Any) -> None:
        ended = {"state": state, "ended_at": int(self._now()), "note": "", **columns}
        if self._write(**ended) is not None:
            self._operation = replace(self._operation, **ended)

    def _leave(self, note: str) -> None:
        """The next that looks may have it at once."""
        self._write(lease_until=0, note=note)

    def _write(self, **columns: Any) -> str | None:
        operations, now = self._stores.operations, int(self._now())
        return operations.change(self._operation.id, self._holder, now, **columns)


def _set_of(operation: Operation) -> tuple[LetterSet, Pin]:
    """Raises Rejected for what a later release has written."""
    return (
        LetterSet.from_json(operation.queue, operation.selection),
        Pin.parse(operation.pinned),
    )
