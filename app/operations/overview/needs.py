"""What needs a person: by reason, with how many users it hits. Bounded reads, and nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.overview import Count
from app.domain.standing import ReferenceKey
from app.ledger.attention import Attention, FoundSession
from app.ledger.polling import REDACTION_OVERDUE
from app.ledger.stats import MAX_COUNTED
from app.ledger.week import MAX_REVIEWED
from app.operations.dlq.users import user_of
from app.operations.notify import is_gone
from app.operations.overview.reading import LEDGER, REDIS, Faults
from app.queue.dead_letters import DeadLetter
from app.queue.model import EFFECTS, EVENTS
from app.queue.registry import PAGE, moment_of
from app.stores import Stores

# Dead letters of a queue that are looked at, the newest: a hundred thousand would take seconds.
LOOKED_AT = PAGE
# Of each need, the users or sessions that are named.
NAMED = 5

DEAD, DEFERRED, ORPHANS, REVIEW = "dead_letters", "deferred", "orphans", "review"
MISSING, REDACTIONS, GONE = "missing", "redactions", "receiver_gone"
# What people call them.
NAMES = {
    DEAD: "dead letters",
    DEFERRED: "failed, tried again",
    ORPHANS: "orphans",
    REVIEW: "to be reviewed",
    MISSING: "unknown to Stripe",
    REDACTIONS: "overdue redactions",
    GONE: "receiver that answered 410",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person, and the one thing to do about it."""

    kind: str
    count: Count
    users: Count | None  # None: whom it hits is not known, as all that comes from now on
    command: str  # that does it, or shows more
    queue: str | None = None
    reason: str | None = None  # of dead letters; of deferred jobs the class of their error
    oldest_seconds: float | None = None
    references: tuple[ReferenceKey, ...] = ()  # some of those that are hit
    sessions: tuple[FoundSession, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": self.kind,
            "queue": self.queue,
            "reason": self.reason,
            "count": self.count.number,
            "at_least": self.count.more,
            "users": None if self.users is None else self.users.number,
            "users_at_least": self.users is not None and self.users.more,
            "oldest_seconds": self.oldest_seconds,
            "references": [reference_as_json(one) for one in self.references],
            "sessions": [one.key._asdict() for one in self.sessions],
            "command": self.command,
        }


def reference_as_json(reference: ReferenceKey) -> dict[str, Any]:
    """What names a reference, by the names of the API."""
    account, livemode, text, purpose = reference
    return {
        "client_reference_id": text,
        "account": account,
        "livemode": livemode,
        "purpose": purpose,
    }


def read_needs(
    stores: Stores, letters: dict[str, list[DeadLetter]], now: float, faults: Faults
) -> list[Need]:
    """All that can be read; `letters` are the newest by queue. `now` is in Unix seconds."""
    needs: list[Need] = []
    for queue, newest in letters.items():
        dead = faults.read(REDIS, partial(len, stores.dead_letters(queue))) or 0
        needs += _dead(queue, newest, dead, now)
    needs += faults.read(REDIS, partial(_deferred, stores)) or []
    needs += faults.read(LEDGER, partial(_of_ledger, stores, now)) or []
    return needs


def _dead(queue: str, newest: Sequence[DeadLetter], dead: int, now: float) -> list[Need]:
    by_reason: dict[str, list[DeadLetter]] = defaultdict(list)
    for letter in newest:
        by_reason[letter.reason].append(letter)
    more = dead > len(newest)
    option = "" if queue == EVENTS.name else f" --queue {queue}"
    return [
        Need(
            DEAD,
            Count(len(of_it), more),
            _users([letter.payload for letter in of_it], more),
            f"dlq replay --reason {reason}{option}",
            queue=queue,
            reason=reason,
            oldest_seconds=max(0.0, now - min(moment_of(one.last_failed_at, now) for one in of_it)),
        )
        for reason, of_it in sorted(by_reason.items(), key=lambda found: -len(found[1]))
    ]


def _deferred(stores: Stores) -> list[Need]:
    needs = []
    for queue in (EVENTS.name, EFFECTS.name):
        deferred = stores.deferred(queue)
        summary = deferred.summarise()
        page = deferred.page(None, PAGE) if summary.count else []
        jobs = [job for _, job in page if job is not None]
        looked_at = Counter(job.error_class for job in jobs)
        option = "" if queue == EVENTS.name else f" --queue {queue}"
        needs += [
            Need(
                DEFERRED,
                Count(reason.count, not summary.complete),
                _users(
                    [job.payload for job in jobs if job.error_class == reason.error_class],
                    not summary.complete or reason.count > looked_at[reason.error_class],
                ),
                f"dlq list --deferred{option}",
                queue=queue,
                reason=reason.error_class,
                oldest_seconds=reason.seconds,
            )
            for reason in summary.reasons
        ]
    return needs


def _of_ledger(stores: Stores, now: float) -> list[Need]:
    livemode, attention = stores.settings.livemode, Attention(stores.engine)
    option = "--live" if livemode else "--test"
    needs = []
    if orphans := attention.orphans(livemode):
        count = Count(orphans, orphans == MAX_COUNTED)
        needs.append(Need(ORPHANS, count, count, f"orphans list {option}"))
    if review := attention.to_review(livemode):
        count = Count(len(review), len(review) == MAX_REVIEWED)
        named = tuple(review[:NAMED])
        needs.append(Need(REVIEW, count, count, "references show REFERENCE", references=named))
    if missing := attention.missing(livemode, MAX_COUNTED):
        needs.append(_sessions(MISSING, missing, now, "references refresh REFERENCE"))
    if overdue := attention.overdue_redactions(int(now) - REDACTION_OVERDUE, MAX_COUNTED):
        needs.append(_sessions(REDACTIONS, overdue, now, "references refresh REFERENCE"))
    if is_gone(stores.settings, stores.ledger):
        needs.append(Need(GONE, Count(1), None, "notify test"))
    return needs


def _sessions(kind: str, found: Sequence[FoundSession], now: float, command: str) -> Need:
    more = len(found) == MAX_COUNTED
    users = {one.reference_key or one.key.id for one in found}
    return Need(
        kind,
        Count(len(found), more),
        Count(len(users), more),
        command,
        oldest_seconds=max(0.0, now - min(one.since for one in found)),
        sessions=tuple(found[:NAMED]),
    )


def _users(payloads: Sequence[Any], more: bool) -> Count:
    return Count(len({user_of(payload) for payload in payloads} - {None}), more)
