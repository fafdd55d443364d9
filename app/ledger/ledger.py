"""The ledger: what the rest of the product asks of the store of record."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal

from sqlalchemy import Engine, Update, text
from sqlalchemy.exc import SQLAlchemyError

from app.domain.change import Policy
from app.domain.effects import QUEUED_AHEAD, PendingEffect
from app.domain.reconcile import Applied, Known
from app.domain.session import Observation, Session
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey, Standing
from app.ledger import apply, rows, statements
from app.ledger import effect_statements as outbox
from app.ledger.apply_statements import APPLY
from app.ledger.bulk import Query
from app.ledger.cursors import Cursors
from app.ledger.engine import for_pipelines, for_reading, translate, translates_errors
from app.ledger.known_events import KNOWN_EVENTS
from app.ledger.loading import Transaction, references_of
from app.ledger.notification_log import NotificationLog
from app.ledger.orphans import Orphans
from app.ledger.polling import Polling
from app.ledger.redactions import Redactions
from app.ledger.revisions import Revisions
from app.ledger.rows import Discarded, ReferenceRecord

MAX_TIMELINE_LINES = 200  # the newest; a standing that changed more often belongs to a test
STREAMED_ROWS = 1_000  # held in memory at once


class Ledger:
    """The store of record over one engine. Safe to share between threads, not across a fork.

    Every method raises LedgerUnavailable for what passes with time, LedgerBroken for what does not.
    """

    def __init__(self, engine: Engine, reverify_after: int | None = None) -> None:
        """`engine` comes from `open_engine`; `close` gives its connections back.

        `reverify_after` is REVERIFY_AFTER_DAYS in seconds; None: a verification does not expire.
        """
        self._engine = engine
        self.reverify_after = reverify_after
        self._reading = for_reading(engine)
        self._pipelining = for_pipelines(engine)
        self._bulk = APPLY[engine.dialect.name]
        self._known_events = KNOWN_EVENTS[engine.dialect.name]
        self.cursors = Cursors(engine)
        self.notifications = NotificationLog(engine)
        self.orphans = Orphans(engine)
        self.polling = Polling(engine)
        self.redactions = Redactions(engine)
        self.revisions = Revisions(engine, reverify_after)

    @translates_errors
    def apply(
        self, observations: Sequence[Observation], *, policy: Policy | None, now: int
    ) -> list[Applied]:
        """Merge observations and commit all that follows from them, or nothing.

        An event that was applied before is a `duplicate`, and changes nothing. `policy` says which
        effects may follow; None asks for none. What a handler raises is raised, and rolls
        everything back. `now` is in Unix seconds.
        """
        return apply.apply(self._pipelining, observations, policy, now, self.reverify_after)

    @translates_errors
    def look_up(self, observations: Sequence[Observation]) -> Known:
        """What `apply` would reconcile these observations with, without locking or writing."""
        event_ids = [one.event_id for one in observations if one.event_id]
        keys = {one.key for one in observations}
        with self._reading.connect() as connection:
            applied = self._known_events.has_events.read(connection, {"ids": event_ids})
            events = frozenset(id for (id,) in applied)
            read = self._bulk.read_sessions
            found = read.read(connection, {"keys": [], "ids": [key.id for key in keys]})
            observed = [one for one in rows.sessions_of(found) if one.key in keys]
            references = references_of(observed, observations)
            digests = [key.digest for key in references]
            members = rows.sessions_of(read.read(connection, {"keys": digests, "ids": []}))
            standing_rows = connection.execute(statements.READ_STANDINGS, {"keys": digests}).all()
        return Known(
            applied_events=events,
            sessions={session.key: session for session in (*observed, *members)},
            standings={
                rows.reference_key_of(row): rows.standing_of(row)
                for row in standing_rows
                if row.version
            },
        )

    @translates_errors
    def read_reference(
        self, client_reference_id: str, *, account: str = "", livemode: bool, purpose: str = ""
    ) -> ReferenceRecord | None:
        """All that is known of a reference at one moment; None if it was never seen.

        The timeline is cut to its newest 200 lines.
        """
        reference = ReferenceKey(account, livemode, client_reference_id, purpose)
        key = {"key": reference.digest}
        with self._reading.connect() as connection:
            row = connection.execute(statements.READ_STANDING, key).first()
            if row is None:
                return None
            sessions = rows.sessions_of(connection.execute(statements.READ_SESSIONS, key).all())
            missing = connection.execute(statements.MISSING_OF_REFERENCE, key).scalars().all()
            lines = connection.execute(
                statements.NEWEST_TIMELINE, {**key, "lines": MAX_TIMELINE_LINES}
            ).all()
        return ReferenceRecord(
            client_reference_id=row.client_reference_id,
            account=row.account,
            livemode=row.livemode,
            purpose=row.purpose,
            standing=rows.standing_of(row),
            sessions=tuple(
                sorted(sessions, key=lambda s: (s.snapshot.created, s.id), reverse=True)
            ),
            timeline=tuple(rows.timeline_line_of(line) for line in reversed(lines)),
            missing=frozenset(missing),
        )

    @translates_errors
    def purposes_of(self, client_reference_id: str, *, account: str, livemode: bool) -> list[str]:
        """Every purpose that the ledger has a standing of this user for, the default one first."""
        key = ReferenceKey(account, livemode, client_reference_id).digest
        with self._reading.connect() as connection:
            return list(connection.execute(statements.PURPOSES_OF, {"key": key}).scalars())

    def all_standings(self, livemode: bool, *, account: str = "") -> Iterator[tuple[str, Standing]]:
        """Every reference of one account and mode with its standing, as of one moment, streamed.

        For the default purpose.
        """
        failure = None
        try:
            with self._reading.connect() as connection:
                found = connection.execute(
                    statements.ALL_STANDINGS,
                    {"account": account, "livemode": livemode},
                    execution_options={"yield_per": STREAMED_ROWS},
                )
                for row in found:
                    yield row.client_reference_id, rows.standing_of(row)
        except SQLAlchemyError as error:
            failure = translate(error, self._engine)
        if failure is not None:
            raise failure

    @translates_errors
    def has_events(self, ids: Collection[str]) -> set[str]:
        """Those of the events that have been applied."""
        return self._ids(self._known_events.has_events, ids)

    @translates_errors
    def changed_by(self, event_ids: Collection[str]) -> set[str]:
        """Those of the events that have changed a standing."""
        return self._ids(self._known_events.changed_by, event_ids)

    @translates_errors
    def discarded(self, event_ids: Collection[str]) -> set[str]:
        """Those of the events that an operator has removed for good."""
        return self._ids(self._known_events.discarded, event_ids)

    def _ids(self, query: Query, ids: Collection[str]) -> set[str]:
        if not ids:
            return set()
        with self._reading.connect() as connection:
            return {id for (id,) in query.read(connection, {"ids": [*ids]})}

    @translates_errors
    def read_session(self, key: SessionKey) -> Session | None:
        """One session, or None if it was never seen."""
        with self._reading.connect() as connection:
            found = connection.execute(statements.READ_SESSION, statements.this_session(key)).all()
        return next(iter(rows.sessions_of(found)), None)

    @translates_errors
    def reference_of(self, key: SessionKey) -> ReferenceKey | None:
        """The reference that a session counts for; None for an orphan or an unknown session."""
        with self._reading.connect() as connection:
            row = connection.execute(statements.REFERENCE_OF, statements.this_session(key)).first()
        if row is None or row.reference is None:
            return None
        return ReferenceKey(key.account, key.livemode, row.reference, row.purpose)

    @translates_errors
    def reference_named(self, key: str) -> ReferenceKey | None:
        """The reference of a digest; None if it was never seen."""
        with self._reading.connect() as connection:
            row = connection.execute(statements.READ_STANDING, {"key": key}).first()
        return None if row is None else rows.reference_key_of(row)

    @translates_errors
    def record_discarded(self, discarded: Sequence[Discarded], why: str, now: int) -> None:
        """Write that dead letters were removed, and why, to their references' timelines.

        One whose reference was never seen gives it a first line, at version 0.
        """
        with self._engine.begin() as connection:
            transaction = Transaction(connection, self._bulk, now)
            apply.record_discarded(transaction, discarded, why)

    @translates_errors
    def effects_due_unsent(self, before: int, limit: int, overdue: int = 0) -> list[PendingEffect]:
        """Pending effects that the queue should hold and may not.

        First those written before `before` and never marked enqueued, unless they are due more than
        QUEUED_AHEAD after it: their process died between the commit and the queue, or they were not
        due yet. Then those due before `overdue` and not marked since: the queue may have been lost
        as a whole. Both are Unix seconds.
        """
        given = {"before": before, "overdue": overdue, "rows": limit}
        with self._reading.connect() as connection:
            found = connection.execute(
                outbox.UNSENT_EFFECTS, {**given, "horizon": before + QUEUED_AHEAD}
            ).all()
        return [rows.effect_of(row) for row in found]

    @translates_errors
    def add_effects(self, effects: Sequence[PendingEffect], now: int) -> list[PendingEffect]:
        """Write effects that an operator or the team asks for; gives those that are new."""
        if not effects:
            return []
        with self._engine.begin() as connection:
            new = apply.insert_effects(Transaction(connection, self._bulk, now), effects)
        return [effect for effect in effects if effect.id in new]

    @translates_errors
    def mark_enqueued(self, ids: Sequence[str], now: int) -> None:
        """Record that the queue has these effects. `now` is in Unix seconds."""
        if ids:
            self._execute(outbox.MARK_ENQUEUED, ids=list(ids), enqueued_at=now, updated_at=now)

    @translates_errors
    def forget_enqueued(self) -> None:
        """Record that no queue has any effect, dead or alive: Redis was lost."""
        self._execute(outbox.FORGET_ENQUEUED)
        self._execute(outbox.FORGET_FAILED)

    @translates_errors
    def mark_failed(self, ids: Sequence[str], now: int) -> int:
        """Record that these effects are dead letters; returns of how many that is news."""
        return self._execute(outbox.MARK_FAILED, ids=list(ids), now=now)

    @translates_errors
    def mark_replayed(self, ids: Sequence[str], now: int) -> None:
        """Record that these effects are dead letters no more, but to be done."""
        if ids:
            self._execute(outbox.MARK_REPLAYED, ids=list(ids), now=now)

    @translates_errors
    def mark_effects(
        self, ids: Sequence[str], status: Literal["done", "dropped"], now: int
    ) -> None:
        """Record how effects ended. `now` is in Unix seconds."""
        self._execute(outbox.MARK_ENDED, ids=list(ids), status=status, updated_at=now)

    def _execute(self, statement: Update, **values: Any) -> int:
        """Execute in a transaction of its own; returns how many rows it has changed."""
        with self._engine.begin() as connection:
            return connection.execute(statement, values).rowcount

    @translates_errors
    def effect_status(self, id: str) -> str | None:
        """`pending`, `done`, `failed` or `dropped`; None if there is no such effect."""
        with self._reading.connect() as connection:
            return connection.execute(outbox.EFFECT_STATUS, {"id": id}).scalar()

    @translates_errors
    def modes(self) -> dict[bool, int]:
        """How many sessions of live (True) and test mode the ledger holds."""
        with self._reading.connect() as connection:
            return {row.livemode: row.sessions for row in connection.execute(statements.MODES)}

    @translates_errors
    def last_event(self) -> int | None:
        """When the newest applied event was created at Stripe, in Unix seconds."""
        with self._reading.connect() as connection:
            return connection.execute(statements.LAST_EVENT).scalar()

    @translates_errors
    def ping(self) -> None:
        """Ask the database for an answer."""
        with self._reading.connect() as connection:
            connection.execute(text("SELECT 1"))

    def check_writable(self) -> None:
        """Write a record of no meaning. Raises LedgerUnavailable if the ledger takes none."""
        self.cursors.set("writable", "", 0)

    def close(self) -> None:
        """Give all connections back. The ledger may be used again, with new ones."""
        self._engine.dispose()
