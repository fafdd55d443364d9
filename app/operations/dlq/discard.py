"""Discard dead letters: for good, and with a line in the timeline that says why."""

from __future__ import annotations

from collections.abc import Iterable

from app.batches import batches
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.ledger.ledger import Ledger
from app.ledger.rows import Discarded
from app.queue.dead_letters import DeadLetter
from app.queue.model import EFFECTS
from app.queue.transitions import JobQueue

BATCH_SIZE = 100


def discard(
    queue: JobQueue, ledger: Ledger, letters: Iterable[DeadLetter], why: str, now: int
) -> int:
    """Remove the letters; returns how many were still dead. `now` is in Unix seconds.

    The timeline is written first: a crash in between leaves the letter, and a second line later.
    """
    discarded = 0
    for batch in batches(letters, BATCH_SIZE):
        ledger.record_discarded([_discarded(letter, ledger) for letter in batch], why, now)
        if queue.spec == EFFECTS:  # else the clock would find them pending and queue them again
            for letter in batch:
                ledger.mark_effects([letter.id], "dropped", now)
        discarded += queue.discard([letter.id for letter in batch])
    return discarded


def _discarded(letter: DeadLetter, ledger: Ledger) -> Discarded:
    payload = letter.payload
    account, livemode = str(payload.get("account", "")), bool(payload.get("livemode", False))
    session_id, reference = str(payload.get("session_id", "")), payload.get("reference")
    key: ReferenceKey | None
    if payload.get("reference_key"):  # a notification's
        key = ledger.reference_named(str(payload["reference_key"]))
    elif reference is None:  # as in all other effects, and in a redacted session's letters
        key = ledger.reference_of(SessionKey(session_id, account, livemode))
    else:
        key = ReferenceKey(account, livemode, reference, str(payload.get("purpose", "")))
    return Discarded(letter.id, key, session_id)
