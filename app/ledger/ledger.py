"""The ledger: what the rest of the product asks of the store of record."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Literal

from sqlalchemy import Engine, Select, text
from sqlalchemy.exc import SQLAlchemyError

from app.domain.effects import EffectRow, Policy
from app.domain.reference import Standing
from app.domain.session import Observation, Session
from app.ledger import rows, statements
from app.ledger.engine import for_reading, translate, translates_errors
from app.ledger.rows import Discarded, ReferenceRecord
from app.ledger.transaction import Applied, Decide, Noting, Observing
from app.ledger.upkeep import Upkeep

TIMELINE_LINES = 200  # the newest; a standing that changed more often is being tested, not lived
STREAMED_ROWS = 1_000  # held in memory at once


class Ledger:
    """The store of record over one engine. Safe to share between threads, not across a fork.

    Every method raises LedgerUnavailable where time mends it, and LedgerBroken where not.
    """

    def __init__(self, engine: Engine) -> None:
        """`engine` comes from `open_engine`; `close` gives its connections back."""
        self._engine = engine
        self._reading = for_reading(engine)
        self._upserts = statements.UPSERTS[engine.dialect.name]
        self.upkeep = Upkeep(engine)  # what operators and the clock ask for

    @translates_errors
    def apply(
        self, observation: Observation, *, decide: Decide, policy: Policy, now: int
    ) -> Applied:
        """Merge an observation and commit all that follows from it, or nothing.

        An event that was applied before is a `duplicate`, and changes nothing. `decide` says
        which effects follow; what it raises is raised on, and rolls everything back. `now` is
        in Unix seconds.
        """
        with self._engine.begin() as connection:
            observing = Observing(connection, self._upserts, observation, now)
            return observing.apply(decide, policy)

    @translates_errors
    def read_reference(
        self, client_reference_id: str, *, account: str = "", livemode: bool
    ) -> ReferenceRecord | None:
        """All that is known of a reference at one moment; None where it was never seen.

        The timeline is cut to its newest 200 lines.
        """
        key = {"key": rows.reference_key(account, livemode, client_reference_id)}
        with self._reading.connect() as connection:
            row = connection.execute(statements.READ_REFERENCE, key).first()
            if row is None:
                return None
            sessions = rows.sessions_of(connection.execute(statements.READ_SESSIONS, key).all())
            missing = connection.execute(statements.MISSING_OF_REFERENCE, key).scalars().all()
            lines = connection.execute(
                statements.NEWEST_TIMELINE, {**key, "lines": TIMELINE_LINES}
            ).all()
        return ReferenceRecord(
            client_reference_id=row.client_reference_id,
            account=row.account,
            livemode=row.livemode,
            standing=rows.standing_of(row),
            sessions=tuple(sorted(sessions, key=lambda s: (s.created, s.id), reverse=True)),
            timeline=tuple(rows.timeline_line_of(line) for line in reversed(lines)),
            missing=frozenset(missing),
        )

    def all_standings(self, livemode: bool, *, account: str = "") -> Iterator[tuple[str, Standing]]:
        """Every reference of one account and mode with its standing, as of one moment, streamed."""
        failure = None
        try:
            with self._reading.connect() as connection:
                found = connection.execution_options(yield_per=STREAMED_ROWS).execute(
                    statements.ALL_STANDINGS, {"account": account, "livemode": livemode}
                )
                for row in found:
                    yield row.client_reference_id, rows.standing_of(row)
        except SQLAlchemyError as error:
            failure = translate(error)
        if failure is not None:
            raise failure

    @translates_errors
    def count_events(self) -> int:
        """How many events have been applied."""
        with self._reading.connect() as connection:
            return connection.execute(statements.COUNT_EVENTS).scalar_one()

    @translates_errors
    def has_event(self, id: str) -> bool:
        """Whether the event of this id has been applied."""
        with self._reading.connect() as connection:
            return connection.execute(statements.HAS_EVENT, {"id": id}).first() is not None

    @translates_errors
    def has_events(self, ids: Collection[str]) -> set[str]:
        """Those of the events that have been applied."""
        return self._ids(statements.HAS_EVENTS, ids)

    @translates_errors
    def changed_by(self, event_ids: Collection[str]) -> set[str]:
        """Those of the events that have changed a standing."""
        return self._ids(statements.CHANGED_BY, event_ids)

    def _ids(self, statement: Select[str], ids: Collection[str]) -> set[str]:
        if not ids:
            return set()
        with self._reading.connect() as connection:
            return set(connection.execute(statement, {"ids": list(ids)}).scalars())

    @translates_errors
    def reference_of(self, session_id: str, *, account: str, livemode: bool) -> str | None:
        """The reference that a session counts for; None for an orphan or a session not known."""
        with self._reading.connect() as connection:
            return connection.execute(
                statements.REFERENCE_OF, _this_session(session_id, account, livemode)
            ).scalar()

    @translates_errors
    def read_session(self, session_id: str, *, account: str, livemode: bool) -> Session | None:
        """One session, or None where it was never seen."""
        with self._reading.connect() as connection:
            found = connection.execute(
                statements.READ_SESSION, _this_session(session_id, account, livemode)
            ).all()
        return next(iter(rows.sessions_of(found)), None)

    @translates_errors
    def note_discarded(self, discarded: Sequence[Discarded], why: str, now: int) -> None:
        """Write that dead letters were removed, and why, to their references' timelines.

        One whose reference was never seen gives it a first line, at version 0.
        """
        with self._engine.begin() as connection:
            note = Noting(connection, self._upserts, now)
            for one in sorted(discarded, key=rows.discarded_order):
                note.discarded(one, why)

    @translates_errors
    def effects_due_unsent(self, before: int, limit: int, overdue: int = 0) -> list[EffectRow]:
        """Pending effects that the queue may not hold. The oldest come first.

        Those written before `before` and never marked enqueued: their process died between the
        commit and the queue. And those due before `overdue` and not marked since: the queue may
        have been lost as a whole. Both are Unix seconds.
        """
        with self._reading.connect() as connection:
            found = connection.execute(
                statements.UNSENT_EFFECTS, {"before": before, "overdue": overdue, "rows": limit}
            ).all()
        return [rows.effect_of(row) for row in found]

    @translates_errors
    def add_effects(self, effects: Sequence[EffectRow], now: int) -> list[EffectRow]:
        """Write effects that an operator or the team asks for; gives those that are new."""
        if not effects:
            return []
        values = [rows.effect_values(effect, now) for effect in effects]
        with self._engine.begin() as connection:
            new = set(connection.execute(self._upserts.insert_effects, values).scalars())
        return [effect for effect in effects if effect.id in new]

    @translates_errors
    def mark_enqueued(self, ids: Sequence[str], now: int) -> None:
        """Note that the queue has these effects. `now` is in Unix seconds."""
        if not ids:
            return
        with self._engine.begin() as connection:
            connection.execute(
                statements.MARK_ENQUEUED, {"ids": list(ids), "enqueued_at": now, "updated_at": now}
            )

    @translates_errors
    def mark_effect(self, id: str, status: Literal["done", "failed", "dropped"], now: int) -> None:
        """Note how an effect ended. `now` is in Unix seconds."""
        with self._engine.begin() as connection:
            connection.execute(
                statements.MARK_EFFECT, {"effect_id": id, "status": status, "updated_at": now}
            )

    @translates_errors
    def effect_status(self, id: str) -> str | None:
        """`pending`, `done`, `failed` or `dropped`; None where there is no such effect."""
        with self._reading.connect() as connection:
            return connection.execute(statements.EFFECT_STATUS, {"id": id}).scalar()

    @translates_errors
    def ping(self) -> None:
        """Ask the database for an answer."""
        with self._reading.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back. The ledger may be used again, with new ones."""
        self._engine.dispose()


def _this_session(session_id: str, account: str, livemode: bool) -> dict[str, str | bool]:
    return {
        "session_id": session_id,
        "session_account": account,
        "session_livemode": livemode,
    }
