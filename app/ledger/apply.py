"""Observations into the ledger: reconcile what is loaded with them, save, and commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Engine

from app.domain.change import Policy
from app.domain.effects import PendingEffect
from app.domain.reconcile import Applied, Outcome, TimelineLine, reconcile
from app.domain.revision import Revision
from app.domain.session import Observation
from app.domain.snapshot import SessionKey
from app.domain.standing import NO_SESSIONS, ReferenceKey, Standing
from app.ledger import rows
from app.ledger.apply_statements import APPLY
from app.ledger.loading import Transaction, expect, load, lock_references
from app.ledger.pipeline import Answer, Pipeline
from app.ledger.rows import Discarded, LockedSession


def apply(
    engine: Engine,
    observations: Sequence[Observation],
    policy: Policy | None,
    now: int,
    reverify_after: int | None,
) -> list[Applied]:
    """Write and commit the observations and all that follows; gives what each did, in their order.

    `engine` is one of `for_pipelines`. `reverify_after` is in seconds; None: a verification does
    not expire.
    """
    expected = expect(observations)
    with engine.connect() as connection:
        transaction = Transaction(connection, APPLY[engine.dialect.name], now)
        while True:
            with connection.begin() as begun:
                loaded = load(transaction, observations, expected)
                if loaded.fits:
                    outcome = reconcile(
                        loaded.known,
                        observations,
                        policy=policy,
                        now=now,
                        reverify_after=reverify_after,
                    )
                    return _told(outcome, save(transaction, outcome, loaded.locked))
                begun.rollback()
            expected = loaded.concerned


def _told(outcome: Outcome, written: set[str]) -> list[Applied]:
    return [
        one._replace(effects=tuple(effect for effect in one.effects if effect.id in written))
        if one.effects
        else one
        for one in outcome.applied
    ]


def save(
    transaction: Transaction, outcome: Outcome, locked: Mapping[SessionKey, LockedSession]
) -> set[str]:
    """Write an outcome, and commit; gives the ids of the effects that are new.

    Stripe knows a session of which anything has come: none of the `locked` is missing any more.
    """
    statements, now = transaction.statements, transaction.now
    pipeline = Pipeline(transaction.connection)
    pipeline.write(
        statements.update_sessions,
        (
            rows.session_values(session, now) | rows.observed_values(locked[key])
            for key, session in sorted(outcome.sessions.items())
        ),
    )
    unchanged = sorted(locked.keys() - outcome.sessions.keys())
    pipeline.write(
        statements.count_observations, (rows.observed_values(locked[key]) for key in unchanged)
    )
    pipeline.write(
        statements.insert_attempts, (rows.attempt_values(*one) for one in outcome.attempts)
    )
    _write_standings(transaction, pipeline, outcome.standings.items(), outcome.timeline)
    effects = _write_effects(transaction, pipeline, outcome.effects)
    pipeline.run(commit=True)
    return {row.id for row in effects.rows}


def insert_effects(transaction: Transaction, effects: Iterable[PendingEffect]) -> set[str]:
    """Write effects; gives the ids of those that are new."""
    pipeline = Pipeline(transaction.connection)
    written = _write_effects(transaction, pipeline, effects)
    pipeline.run()
    return {row.id for row in written.rows}


def save_revisions(transaction: Transaction, revisions: Sequence[Revision]) -> None:
    """Write changed standings, whose references the transaction has locked."""
    pipeline = Pipeline(transaction.connection)
    standings = [(one.key, one.standing) for one in revisions]
    _write_standings(transaction, pipeline, standings, [(one.key, one.line) for one in revisions])
    _write_effects(transaction, pipeline, [effect for one in revisions for effect in one.effects])
    pipeline.run()


def record_discarded(transaction: Transaction, discarded: Iterable[Discarded], why: str) -> None:
    """Write one timeline line for each discarded letter."""
    keyed = [(one.key, one) for one in discarded]
    standings = lock_references(transaction, {key for key, _ in keyed if key is not None})
    lines = []
    for key, one in keyed:
        standing = NO_SESSIONS if key is None else standings.get(key, NO_SESSIONS)
        lines.append((key, rows.discarded_line(standing, one, why, transaction.now)))
    pipeline = Pipeline(transaction.connection)
    _write_standings(transaction, pipeline, [], lines)
    pipeline.run()


def _write_standings(
    transaction: Transaction,
    pipeline: Pipeline,
    standings: Iterable[tuple[ReferenceKey, Standing]],
    timeline: Iterable[tuple[ReferenceKey | None, TimelineLine]],
) -> None:
    statements, now = transaction.statements, transaction.now
    pipeline.write(
        statements.update_standings,
        (rows.standing_values(key, standing, now) for key, standing in standings),
    )
    pipeline.write(
        statements.insert_timeline, (rows.timeline_values(key, line) for key, line in timeline)
    )


def _write_effects(
    transaction: Transaction, pipeline: Pipeline, effects: Iterable[PendingEffect]
) -> Answer:
    values = (rows.effect_values(effect, transaction.now) for effect in effects)
    return pipeline.write(transaction.statements.insert_effects, values)
