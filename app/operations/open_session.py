"""One start, under the lock of its reference: ask Stripe, then refuse, resume or create."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.errors import Conflict
from app.domain.level import Level, satisfies
from app.domain.resume import changes, needs_another
from app.domain.snapshot import SessionKey
from app.domain.standing import Expiry, ReferenceKey
from app.ledger.rows import ReferenceRecord
from app.operations.apply import apply_observations
from app.operations.ask_reference import ask_reference
from app.operations.idempotency_keys import StartKeys
from app.operations.return_urls import ReturnUrls
from app.stores import Stores
from app.stripe.client import Answer
from app.stripe.errors import SessionMissing, StripeRefused, StripeUnavailable

# How often Stripe is asked anew, if a session has changed since: a person submits just then.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Start:
    """A request of the team's backend."""

    reference: str
    params: Mapping[str, Any]  # Stripe's own, `client_reference_id` included
    account: str
    livemode: bool
    reverify: bool
    expand: tuple[str, ...] = ()
    idempotency_key: str | None = None  # the caller's
    purpose: str = ""  # that of `params`' metadata

    @property
    def key(self) -> ReferenceKey:
        """The reference that it is about."""
        return ReferenceKey(self.account, self.livemode, self.reference, self.purpose)

    @property
    def asked(self) -> dict[str, Any]:
        """What has to be the same if it comes again with the same idempotency key."""
        return {**self.params, "reverify": self.reverify, "expand": self.expand}


@dataclass(frozen=True, slots=True)
class Started:
    """The session to send the person to. The body holds its secrets."""

    body: dict[str, Any]
    resumed: bool  # it was there before
    request_id: str | None  # Stripe's name for the call that the body comes from


class SessionOpening:
    """Finds the reference's one session, or makes it. What Stripe says decides, not the ledger."""

    def __init__(
        self, stores: Stores, request: Start, extend: Callable[[], None], now: int
    ) -> None:
        """`extend` prolongs the lock, or raises if it is lost; `now` is in Unix seconds."""
        self._stores = stores
        self._stripe = stores.require_stripe()
        self._request = request
        self._extend = extend
        self._now = now
        self._keys = StartKeys(stores.redis, request.key)
        self._return_urls = ReturnUrls(stores.redis)

    def open(self) -> Started:
        """The reference's session, the only one that is open then.

        Raises Conflict, QueueUnavailable, Stripe's errors and the ledger's.
        """
        for _ in range(ROUNDS):
            started = self._open()
            if started is not None:
                return started
        raise StripeUnavailable("the sessions change faster than they can be looked at")

    def _open(self) -> Started | None:
        """None if a session has changed since Stripe was asked."""
        record, present = self._ask()
        open_sessions = [answer for answer in present if is_open(answer)]
        self._refuse_decided(record, present)
        chosen = next((answer for answer in open_sessions if self._suits(answer)), None)
        if chosen is not None:
            started = self._resume(chosen)
        else:
            started = self._create(_over(record, open_sessions))
        if started is not None and started.body["status"] == "requires_input":
            self._close([one for one in open_sessions if one.id != started.body["id"]])
        return started

    def _ask(self) -> tuple[ReferenceRecord | None, list[Answer]]:
        """The ledger's record after Stripe was asked, and what Stripe has of it, newest first."""
        record = self._read()
        known = () if record is None else record.sessions
        # A canceled one stays so.
        keys = [session.key for session in known if session.status != "canceled"]
        found = ask_reference(self._stores, self._request.key, keys, self._now)
        record = self._read()
        ours = set() if record is None else {session.key for session in record.sessions}
        return record, [answer for answer in found.answers if answer.key in ours]

    def _read(self) -> ReferenceRecord | None:
        key = self._request.key
        return self._stores.ledger.read_reference(
            key.reference, account=key.account, livemode=key.livemode, purpose=key.purpose
        )

    def _refuse_decided(self, record: ReferenceRecord | None, present: Sequence[Answer]) -> None:
        asked = Level.of(self._request.params)
        over = set() if record is None else self._expired(record)
        verified = [
            Level.of(answer.body)
            for answer in present
            if answer.status == "verified" and answer.key not in over
        ]
        if not self._request.reverify and any(satisfies(done, asked) for done in verified):
            raise Conflict("reference_verified", "already verified: send reverify=true to ask anew")
        if any(answer.status == "processing" for answer in present):
            raise Conflict("session_processing", "a submission is being processed: wait for it")
        limit = self._stores.settings.max_attempts
        if record is not None and record.standing.exhausts(limit):
            raise Conflict(
                "attempts_exhausted",
                f"all attempts have failed, {record.standing.attempts_counted} of them"
                " since the last success: `references allow` grants one more",
            )

    def _expired(self, record: ReferenceRecord) -> set[SessionKey]:
        """The verified sessions that do not count any more (REVERIFY_AFTER_DAYS)."""
        expiry = Expiry(self._stores.settings.reverify_after, self._now)
        verified = [session for session in record.sessions if session.status == "verified"]
        return {session.key for session in verified if expiry.is_over(session)}

    def _suits(self, session: Answer) -> bool:
        """Whether an open session is what is asked for, or can be changed into it."""
        params = self._request.params
        other_address = self._return_urls.differs(session.key, params.get("return_url"))
        return not (other_address or needs_another(session.body, params))

    def _resume(self, session: Answer) -> Started | None:
        """The session as it is asked for, with fresh secrets; None if it is no longer open."""
        different = changes(session.body, self._request.params)
        refused = None
        if different:
            self._extend()
            try:
                updated = self._stripe.update(session.id, different, session.key.account)
                self._apply(updated)
            except StripeRefused as refusal:
                refused = refusal
        try:
            answer = self._fetch(session.id)
        except SessionMissing:
            return None
        if not is_open(answer):
            self._apply(answer)
            return None
        if refused is not None:
            raise refused
        return _started(answer, resumed=True)

    def _create(self, over: Collection[str]) -> Started | None:
        """A new session; None if Stripe gives one again that is over by now."""
        request = self._request
        key = request.idempotency_key or self._keys.key(request.params, over)
        self._extend()
        try:
            answer = self._stripe.create(dict(request.params), request.account, key)
        except StripeUnavailable as failure:
            if failure.status is not None and failure.status >= 500:
                self._keys.count_failure()
            raise
        self._return_urls.keep(answer.key, request.params.get("return_url"))
        if answer.replayed:
            return self._take_again(answer)
        self._apply(answer)  # in the ledger before its first event
        if request.expand:  # with the restricted key, and without the idempotency key
            answer = self._fetch(answer.id)
        return _started(answer, resumed=False)

    def _take_again(self, replayed: Answer) -> Started | None:
        """A session that Stripe gives again; None if it is over by now.

        The answer shows it as it was then, with secrets that may have been used.
        """
        answer = self._fetch(replayed.id)
        self._apply(answer)
        if self._request.idempotency_key is not None:
            # A caller's key stands for one session, whatever has become of it.
            return _started(answer, resumed=True)
        return self._resume(answer) if is_open(answer) else None

    def _close(self, others: Sequence[Answer]) -> None:
        """Cancel what else is open: of two links, a person may follow the wrong one."""
        for session in others:
            self._extend()
            try:
                observation = self._stripe.cancel(session.id, self._request.account)
            except StripeRefused:
                continue  # submitted just now: its event tells the outcome
            apply_observations([observation], self._stores, self._now)

    def _fetch(self, id: str) -> Answer:
        return self._stripe.fetch(id, self._request.account, self._request.expand)

    def _apply(self, answer: Answer) -> None:
        apply_observations([answer.observation], self._stores, self._now)


def is_open(answer: Answer) -> bool:
    """Whether the person can still continue the session."""
    return answer.status == "requires_input" and answer.observation.snapshot.redaction is None


def _over(record: ReferenceRecord | None, open_sessions: Sequence[Answer]) -> set[str]:
    """The ids of the reference's sessions that are not open, those that Stripe lost included."""
    known = set() if record is None else {session.id for session in record.sessions}
    return known - {answer.id for answer in open_sessions}


def _started(answer: Answer, *, resumed: bool) -> Started:
    return Started(answer.body, resumed, answer.request_id)
