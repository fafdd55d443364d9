"""Changes of standings that no observation causes: what an operator allows, and what expires."""

from __future__ import annotations

from sqlalchemy import Engine

from app.domain.change import Policy
from app.domain.reconcile import reference_of
from app.domain.revision import Revision, allow_attempt, review
from app.domain.session import Session
from app.domain.standing import Expiry, ReferenceKey
from app.ledger import apply, rows, statements
from app.ledger.apply_statements import APPLY
from app.ledger.engine import translates_errors
from app.ledger.loading import Transaction, lock_references, read_members


class Revisions:
    """The part of the ledger that changes standings. Errors are those of `Ledger`."""

    def __init__(self, engine: Engine, reverify_after: int | None) -> None:
        """`engine` comes from `open_engine`, and may be shared with a `Ledger`."""
        self._engine = engine
        self._reverify_after = reverify_after
        self._bulk = APPLY[engine.dialect.name]

    @translates_errors
    def allow_attempt(
        self, key: ReferenceKey, *, why: str, policy: Policy, now: int
    ) -> Revision | None:
        """Allow one more attempt, and write why; None for a reference never seen.

        `now` is in Unix seconds.
        """
        with self._engine.begin() as connection:
            row = connection.execute(statements.READ_STANDING, {"key": key.digest}).first()
            if row is None or not row.version:
                return None
            transaction = Transaction(connection, self._bulk, now)
            before = lock_references(transaction, {key})[key]
            revision = allow_attempt(key, before, why=why, policy=policy, now=now)
            if revision is not None:
                apply.save_revisions(transaction, [revision])
            return revision

    @translates_errors
    def expire_due(self, *, policy: Policy, limit: int, now: int) -> list[Revision]:
        """Review at most `limit` standings whose verification is over, the longest over first.

        Gives those that changed, which is all. `now` is in Unix seconds.
        """
        due = {"now": now, "rows": limit}
        with self._engine.begin() as connection:
            found = connection.execute(statements.EXPIRED_STANDINGS, due).all()
            keys = {rows.reference_key_of(row) for row in found}
            return self._review(Transaction(connection, self._bulk, now), keys, policy)

    @translates_errors
    def review_after(
        self, after: str, *, policy: Policy, limit: int, now: int
    ) -> tuple[list[Revision], str | None]:
        """Review the next `limit` standings by digest, whatever they are; gives what changed.

        And the last one's digest, to go on from; None if there are no more.
        """
        with self._engine.begin() as connection:
            found = connection.execute(
                statements.NEXT_STANDINGS, {"after": after, "rows": limit}
            ).all()
            keys = {rows.reference_key_of(row) for row in found}
            revisions = self._review(Transaction(connection, self._bulk, now), keys, policy)
        return revisions, found[-1].key if len(found) == limit else None

    def _review(
        self, transaction: Transaction, keys: set[ReferenceKey], policy: Policy
    ) -> list[Revision]:
        standings = lock_references(transaction, keys)
        members: dict[ReferenceKey | None, list[Session]] = {}
        for session in read_members(transaction, standings):
            members.setdefault(reference_of(session), []).append(session)
        expiry = Expiry(self._reverify_after, transaction.now)
        reviewed = [
            review(key, before, members.get(key, []), policy=policy, expiry=expiry)
            for key, before in standings.items()
        ]
        revisions = [revision for revision in reviewed if revision is not None]
        apply.save_revisions(transaction, revisions)
        return revisions
