"""Operations: what people have asked for in bulk, how far it has come, and who carries it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import BigInteger, Engine, and_, bindparam, case, insert, select, update

from app.ledger.engine import for_reading, translates_errors
from app.ledger.operation_table import NAMING_A_USER, UNDER_WAY
from app.ledger.tables import operations

Kind = Literal["replay", "discard"]
# Seconds an operation belongs to the process that carries it out, from its last sign of life on.
LEASE = 15
# Greater than any id: they go on in hexadecimal digits.
_AFTER_ALL = "op_g"

THIS_OPERATION = operations.c.id == bindparam("operation")
GET_OPERATION = select(operations).where(THIS_OPERATION)
OPERATIONS_BEFORE = (
    select(operations)
    .where(operations.c.id < bindparam("older_than"))
    .order_by(operations.c.id.desc())
    .limit(bindparam("rows"))
)
ADD_OPERATION = insert(operations)
# The one that has waited for longest.
UNCLAIMED_OPERATION = (
    select(operations.c.id)
    .where(UNDER_WAY, operations.c.lease_until < bindparam("now"))
    .order_by(operations.c.lease_until)
    .limit(1)
)
# What another process is claiming comes next.
CLAIM_OPERATION = (
    update(operations)
    .where(
        operations.c.id == UNCLAIMED_OPERATION.with_for_update(skip_locked=True).scalar_subquery()
    )
    .values(holder=bindparam("by"), lease_until=bindparam("until"))
    .returning(operations)
)
# The columns are told when it is executed. A holder whose lease was taken changes nothing.
CHANGE_OPERATION = (
    update(operations)
    .where(and_(THIS_OPERATION, operations.c.holder == bindparam("by"), UNDER_WAY))
    .returning(operations.c.state)
)
# What nobody carries out, as while the workers are paused, is over at once; but a chunk that was
# broken off has to be counted first.
_NOBODYS = and_(operations.c.lease_until < bindparam("now"), operations.c.chunk_end.is_(None))
STOP_OPERATION = (
    update(operations)
    .where(THIS_OPERATION, UNDER_WAY)
    .values(
        state=case((_NOBODYS, "stopped"), else_="stopping"),
        ended_at=case((_NOBODYS, bindparam("now", type_=BigInteger)), else_=None),
        updated_at=bindparam("now"),
    )
    .returning(operations)
)
# The row stays, and says what was done. One that is under way fails: it means nobody any more.
FORGET_IN_OPERATIONS = (
    update(operations)
    .where(NAMING_A_USER, operations.c.named == bindparam("user"))
    .values(selection='{"forgotten": true}', reason="", named=None)
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One bulk replay or discard. Times are Unix seconds."""

    id: str
    kind: Kind
    queue: str
    selection: Mapping[str, Any]  # the filters that are set, or `ids`
    pinned: str  # the digest of the set that was agreed to
    reason: str
    rate: float | None  # letters a second at most; None: no limit
    who: str
    via: str
    total: int
    created_at: int
    updated_at: int
    state: str = "running"  # or stopping, stopped, done, failed
    note: str = ""  # why it waits, or has failed
    done: int = 0  # put back, or discarded
    failed: int = 0  # of these: dead again
    gone: int = 0  # dead no more when their turn came; known at the end
    position: float | None = None  # the place of the first letter that is not done yet
    chunk_end: float | None = None  # while a chunk is under way: the place of its last letter
    chunk_size: int = 0  # and how many it has
    ended_at: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing of it will be done any more."""
        return self.ended_at is not None

    def as_json(self) -> dict[str, Any]:
        """What people and programs are shown of it."""
        shown = ("id", "kind", "queue", "selection", "reason", "rate", "who", "via", "state")
        counts = ("note", "total", "done", "failed", "gone")
        times = ("created_at", "updated_at", "ended_at")
        return {name: getattr(self, name) for name in (*shown, *counts, *times)}


class Operations:
    """The part of the ledger that keeps operations. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reading = for_reading(engine)

    @translates_errors
    def add(self, operation: Operation) -> None:
        """Write a new one; the next worker that looks begins with it."""
        values = {name: getattr(operation, name) for name in Operation.__slots__}
        values["selection"] = json.dumps(operation.selection)
        reference = operation.selection.get("reference")
        values["named"] = None if reference is None else digest_of_user(reference)
        with self._engine.begin() as connection:
            connection.execute(ADD_OPERATION, {**values, "holder": "", "lease_until": 0})

    @translates_errors
    def get(self, id: str) -> Operation | None:
        """The operation of this id; None if there is none."""
        with self._reading.connect() as connection:
            row = connection.execute(GET_OPERATION, {"operation": id}).first()
        return None if row is None else _operation(row)

    @translates_errors
    def page(self, before: str | None = None, limit: int = 50) -> list[Operation]:
        """At most `limit` operations, the newest first: those before the id `before`, if any."""
        given = {"older_than": before or _AFTER_ALL, "rows": limit}
        with self._reading.connect() as connection:
            return [_operation(row) for row in connection.execute(OPERATIONS_BEFORE, given)]

    @translates_errors
    def claim(self, holder: str, now: int) -> Operation | None:
        """Take one that nobody carries out, for LEASE seconds; None if there is none."""
        with self._reading.connect() as connection:  # almost always there is none
            if connection.execute(UNCLAIMED_OPERATION, {"now": now}).first() is None:
                return None
        given = {"by": holder, "now": now, "until": now + LEASE}
        with self._engine.begin() as connection:
            row = connection.execute(CLAIM_OPERATION, given).first()
        return None if row is None else _operation(row)

    @translates_errors
    def change(self, id: str, holder: str, now: int, **columns: Any) -> str | None:
        """Write how far it has come, and prolong the lease; its state.

        None if the lease was lost: somebody else carries it out, or it is over.
        """
        given = {"lease_until": now + LEASE, "updated_at": now, **columns}
        with self._engine.begin() as connection:
            return connection.execute(
                CHANGE_OPERATION, {"operation": id, "by": holder, **given}
            ).scalar()

    @translates_errors
    def ask_to_stop(self, id: str, now: int) -> Operation | None:
        """Have whoever carries it out stop; None if it is over, or there is none.

        What nobody carries out is over at once.
        """
        with self._engine.begin() as connection:
            row = connection.execute(STOP_OPERATION, {"operation": id, "now": now}).first()
        return None if row is None else _operation(row)


def digest_of_user(reference: str) -> str:
    """By which the operations are found whose filters name a user of any account and mode."""
    return hashlib.sha256(reference.encode(errors="surrogatepass")).hexdigest()


def _operation(row: Any) -> Operation:
    values = {name: getattr(row, name) for name in Operation.__slots__}
    return Operation(**cast(dict[str, Any], {**values, "selection": json.loads(row.selection)}))
