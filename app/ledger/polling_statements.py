"""Which sessions Stripe is to be asked about, and what it answered: the statements, built once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    select,
    union_all,
    update,
)

from app.ledger.statements import THIS_SESSION, at_most
from app.ledger.tables import POLLED, sessions


def _due(rank: int, which: ColumnElement[Any]) -> Select[str, str, int, int]:
    """The first sessions to ask about of one kind, by the index that `which` names."""
    first = (
        select(
            sessions.c.id,
            sessions.c.account,
            sessions.c.poll_at,
            literal(rank, Integer).label("rank"),
        )
        .where(
            which,
            sessions.c.livemode == bindparam("livemode"),
            sessions.c.poll_at <= bindparam("now"),
        )
        .order_by(sessions.c.poll_at)
        .limit(bindparam("rows"))
        .subquery()
    )
    return select(first.c.id, first.c.account, first.c.poll_at, first.c.rank)


# What Stripe should be asked about: first what somebody waits for, last what Stripe did not know
# when it was asked.
_CANDIDATES = union_all(
    *(_due(rank, which) for rank, which in enumerate(POLLED.values()))
).subquery()
TO_CHECK = (
    select(_CANDIDATES.c.id, _CANDIDATES.c.account)
    .order_by(_CANDIDATES.c.rank, _CANDIDATES.c.poll_at, _CANDIDATES.c.id)
    .limit(bindparam("rows"))
)
# Those that should have been asked about by now, by kind.
OVERDUE = union_all(
    *(
        select(
            literal(kind).label("kind"),
            at_most(
                select(sessions.c.id).where(
                    which,
                    sessions.c.livemode == bindparam("livemode"),
                    sessions.c.poll_at <= bindparam("before"),
                )
            )
            .scalar_subquery()
            .label("sessions"),
        )
        for kind, which in POLLED.items()
    )
)
MARK_CHECKED = (
    update(sessions)
    .where(THIS_SESSION)
    .values(poll_at=bindparam("poll_at", type_=BigInteger), missing_since=None)
)
MARK_UNANSWERED = update(sessions).where(THIS_SESSION).values(poll_at=bindparam("poll_at"))
_MISSING_FOR = bindparam("now", type_=BigInteger) - func.coalesce(
    sessions.c.missing_since, bindparam("now", type_=BigInteger)
)
# Each wait is twice the one before: as long as all of them so far, and the first once more.
MARK_MISSING = (
    update(sessions)
    .where(THIS_SESSION)
    .values(
        missing_since=func.coalesce(sessions.c.missing_since, bindparam("now")),
        poll_at=case(
            (
                _MISSING_FOR * 2 + bindparam("first") <= bindparam("last"),
                bindparam("now") + _MISSING_FOR + bindparam("first"),
            )
        ),
    )
)


def _first_account(*after: ColumnElement[bool]) -> ScalarSelect[str]:
    """The first account beside our own, of a mode, for which the condition holds."""
    return (
        select(sessions.c.account)
        .where(
            sessions.c.livemode == bindparam("livemode"),
            literal_column("sessions.account <> ''"),
            *after,
        )
        .order_by(sessions.c.account)
        .limit(1)
        .correlate_except(sessions)
        .scalar_subquery()
    )


# One look into the index for each account: `DISTINCT` would read all sessions.
_KNOWN = select(_first_account().label("account")).cte("known", recursive=True)
_KNOWN = _KNOWN.union_all(
    select(_first_account(sessions.c.account > _KNOWN.c.account)).where(
        _KNOWN.c.account.is_not(None)
    )
)
KNOWN_ACCOUNTS = select(_KNOWN.c.account).where(_KNOWN.c.account.is_not(None))
