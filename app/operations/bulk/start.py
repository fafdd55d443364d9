"""Start and stop operations: what was previewed is what begins, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

from app.domain.errors import Conflict, Rejected, StoreFailure
from app.ledger.operations import Kind, Operation
from app.operations.bulk.preview import OperationPreview, names_of, preview_operation
from app.operations.bulk.selection import MAX_IDS, LetterSet, Pin, count_pinned, digest_of
from app.queue.dead_letters import DeadLetter
from app.queue.locks import break_lock
from app.stores import Stores

# The lock that paces the clocks' looks for operations: workers/bulk_work.py.
LOOKS = "operations"
MAX_REASON = 500  # characters
MIN_RATE = 0.1  # letters a second: what is slower ends on no day that anybody is on call
# Until the workers have counted: what is known before is that there are no more.
NOT_COUNTED = "the letters that match are counted first: the total is that of all dead letters"
# New letters whose users a refusal names.
NAMED = 20


class SetChanged(Conflict):
    """The letters are not those of the preview any more."""

    def __init__(self, new: int, gone: int, users: list[str], preview: OperationPreview) -> None:
        """`users` are those of the first new letters. `preview` is what starts now."""
        super().__init__(
            "set_changed",
            f"the letters have changed since the preview: {new} new, {gone} gone. "
            "Nothing was started: look at the new preview",
        )
        self.new = new
        self.gone = gone
        self.users = users
        self.preview = preview


def start_operation(  # noqa: PLR0913 - as many as a person decides, and what is passed in
    stores: Stores,
    *,
    kind: Kind,
    selection: LetterSet,
    digest: str,
    reason: str,
    rate: float | None,
    who: str,
    via: str,
    now: float,
    new_id: Callable[[], str],
) -> Operation:
    """Write the operation that was previewed, for the workers to carry out.

    `rate` is in letters a second. `now` is in Unix seconds. `new_id` gives some random hexadecimal
    digits. Raises SetChanged if there are other letters by now than those of `digest`, Rejected
    for what cannot be started, and the errors of Redis and of the ledger.
    """
    _check(selection, reason, rate)
    pin = Pin.parse(digest)
    counted = pin.chosen == digest_of(kind, selection)
    if not counted and pin.chosen != digest_of(kind, selection, counted=False):
        raise Rejected("the digest is of another preview: of another kind, queue or selection")
    if kind == "discard" and not counted:
        raise Rejected("what is discarded is gone for good: have every letter counted first")
    if not pin.total:
        raise Conflict("no_letters", "there are no dead letters like that")
    _check_unchanged(stores, kind, selection, pin, now, counted=counted)
    operation = Operation(
        id=f"op_{int(now):08x}{new_id()}",
        kind=kind,
        queue=selection.queue,
        selection=selection.as_json(),
        pinned=digest,
        reason=reason.strip(),
        rate=rate,
        who=who,
        via=via,
        total=pin.total,
        note="" if counted else NOT_COUNTED,
        created_at=int(now),
        updated_at=int(now),
    )
    stores.operations.add(operation)
    with suppress(StoreFailure):  # it begins at the next look then, some seconds later
        break_lock(stores.redis, LOOKS)
    return operation


def stop_operation(stores: Stores, id: str, now: float) -> Operation:
    """Have whoever carries it out stop, within seconds; what nobody carries out is over at once.

    What was put back goes on. Raises Rejected if there is none, Conflict if it is over.
    """
    stopped = stores.operations.ask_to_stop(id, int(now))
    if stopped is not None:
        return stopped
    found = stores.operations.get(id)
    if found is None:
        raise Rejected(f"there is no operation {id}")
    raise Conflict("operation_over", f"{id} is over: {found.state}")


def _check(selection: LetterSet, reason: str, rate: float | None) -> None:
    reason = reason.strip()
    if not (reason.isprintable() and 1 <= len(reason) <= MAX_REASON):
        raise Rejected(f"the reason has to have 1 to {MAX_REASON} printable characters")
    if rate is not None and not MIN_RATE <= rate < math.inf:
        raise Rejected(f"the rate has to be at least {MIN_RATE} letters a second")
    if len(selection.ids) > MAX_IDS:
        raise Rejected(f"name {MAX_IDS:,} letters at most by their ids, or all by a filter")


def _check_unchanged(
    stores: Stores, kind: Kind, selection: LetterSet, pin: Pin, now: float, *, counted: bool
) -> None:
    letters = stores.dead_letters(selection.queue)
    left = (
        count_pinned(selection, letters, pin.moment, pin.place)
        if counted
        else letters.count_from(pin.place)
    )
    new, first = 0, list[DeadLetter]()
    for _, letter in selection.of(letters, pin.moment, end=pin.place):
        new += 1
        if len(first) < NAMED:
            first.append(letter)
    if new or left != pin.total:
        users = names_of(stores, first)
        now_chosen = preview_operation(stores, kind, selection, now, every=counted)
        raise SetChanged(new, max(0, pin.total - left), users, now_chosen)
