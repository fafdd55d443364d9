"""Ask Stripe about all sessions of a reference, and bring into the ledger what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from app.domain.errors import UnreadableEvent
from app.domain.snapshot import SessionKey
from app.domain.standing import ReferenceKey
from app.logs import get_logger
from app.operations.apply import apply_observations
from app.operations.own_account import check_account
from app.stores import Stores
from app.stripe.client import Answer, StripeApi
from app.stripe.errors import SessionMissing
from app.stripe.retrying import named

log = get_logger("references")

PAGE_SIZE = 100  # Stripe's own limit
MAX_PAGES = 10
MAX_RETRIEVED = 100  # sessions that the list does not have, each by a call of its own
# Bytes of a query: web servers take an address of 8 KiB, and a reference may be 5,000 characters
# long. By a longer one nothing is listed; the ledger knows its sessions from their events.
MAX_IN_QUERY = 6_000


@dataclass(frozen=True, slots=True)
class AtStripe:
    """What Stripe says of a reference's sessions."""

    answers: tuple[Answer, ...]  # newest first
    missing: frozenset[SessionKey]  # those that the ledger knows and Stripe does not
    complete: bool  # False if there are more than are asked about at once


def ask_reference(
    stores: Stores, key: ReferenceKey, known: Sequence[SessionKey], now: float
) -> AtStripe:
    """List the reference's sessions at Stripe, retrieve the others `known`, and merge the answers.

    Stripe lists by `client_reference_id` alone: a session that names its reference in metadata, or
    was claimed, is only asked about if the ledger knows it. `now` is in Unix seconds. Raises
    Misconfigured without an API key, OtherAccount, StripeFailure, and the ledger's errors.
    """
    stripe, polling = stores.require_stripe(), stores.ledger.polling
    found = _read(stripe, key, known)
    if found.missing:
        # Another account's key knows none of our sessions, and that says nothing of them.
        check_account(stripe, stores.ledger, livemode=key.livemode, now=int(now))
    if found.answers:
        apply_observations([answer.observation for answer in found.answers], stores, now)
    polling.mark_checked([answer.key for answer in found.answers], int(now))
    for session in sorted(found.missing):
        polling.mark_missing(session, int(now))
    return found


def _read(stripe: StripeApi, key: ReferenceKey, known: Sequence[SessionKey]) -> AtStripe:
    answers, complete = _list(stripe, key)
    listed = {answer.key for answer in answers}
    missing = set()
    unlisted = [session for session in known if session not in listed]
    for session in unlisted[:MAX_RETRIEVED]:
        try:
            answers.append(stripe.fetch(session.id, session.account))
        except SessionMissing:
            log.warning("session not known to Stripe", session_id=session.id)
            missing.add(session)
    # Stable: of those of one second, Stripe's own order stays.
    answers.sort(key=lambda answer: answer.observation.snapshot.created, reverse=True)
    complete = complete and len(unlisted) <= MAX_RETRIEVED
    return AtStripe(tuple(answers), frozenset(missing), complete)


def _list(stripe: StripeApi, key: ReferenceKey) -> tuple[list[Answer], bool]:
    """Stripe's list of the reference, and whether it was read to its end."""
    if len(quote(key.reference)) > MAX_IN_QUERY:
        return [], True
    answers: list[Answer] = []
    params = {"client_reference_id": key.reference, "limit": PAGE_SIZE}
    for _ in range(MAX_PAGES):
        page = stripe.list_sessions(params, key.account)
        for session in page.items:
            try:
                answers.append(stripe.listed(session, page, key.account))
            except UnreadableEvent as error:
                log.warning("session left out", session_id=named(session), error=str(error))
        if not page.has_more or not page.items:
            return answers, True
        params = {**params, "starting_after": page.items[-1]["id"]}
    return answers, False
