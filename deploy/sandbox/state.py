"""The life cycle of VerificationSessions: what may happen to one, and the events about it.

No I/O. The clock and the randomness are passed in; an event is handed to `publish`, which
delivers it. The rules are those of https://docs.stripe.com/identity/how-sessions-work.
"""

import heapq
from collections.abc import Callable
from typing import Any

from deploy.sandbox import reports
from deploy.sandbox.accounts import Accounts, Scope
from deploy.sandbox.clock import Clock
from deploy.sandbox.errors import no_such, unexpected_state
from deploy.sandbox.events import PREFIX, Event
from deploy.sandbox.ids import Ids
from deploy.sandbox.params import merge_metadata
from deploy.sandbox.redaction import (
    ATTEMPTED,
    redact_report,
    redact_session,
    redact_snapshot,
    redactable,
)
from deploy.sandbox.reports import WITHOUT_REPORT, Report
from deploy.sandbox.session import (
    CANCELED,
    LAST_ERRORS,
    PROCESSING,
    REQUIRES_INPUT,
    VERIFIED,
    Session,
)

# "The redaction process may take up to four days."
REDACTION_SECONDS = 4 * 24 * 3600.0
# "This URL expires after 48 hours and can only be used once."
LINK_SECONDS = 48 * 3600.0
NO_REQUEST: dict[str, str | None] = {"id": None, "idempotency_key": None}


class State:
    """All sessions, reports and events, and the only way to change them."""

    def __init__(self, clock: Clock, ids: Ids, base_url: str = "http://127.0.0.1:12111") -> None:
        self.clock = clock
        self.accounts = Accounts()
        self.base_url = base_url
        self.redaction_seconds = REDACTION_SECONDS
        self.canceled_redaction = ATTEMPTED
        self.publish: Callable[[Event], None] = lambda event: None
        self.sessions: dict[str, Session] = {}
        self.reports: dict[str, Report] = {}
        # What a verification flow asks for, in the form of a session's `options`.
        self.flows: dict[str, dict[str, Any]] = {}
        self.events: dict[str, Event] = {}
        self.links: dict[str, str] = {}  # every token ever made, and its session's id
        self._ids = ids
        self._timers: list[tuple[float, str]] = []

    # Calls of the API.

    def create(
        self, given: dict[str, Any], scope: Scope, request: dict[str, str | None]
    ) -> Session:
        """Open a session in `requires_input`; `given` are Stripe's parameters, in their types."""
        now = int(self.clock.now())
        kept = {key: value for key, value in given.items() if key not in ("expand", "metadata")}
        session = Session(
            id=self._ids.new("vs"),
            account=scope.account,
            livemode=scope.livemode,
            created=now,
            status_since=now,
            **{"type": "verification_flow", **kept},
        )
        session.metadata = merge_metadata({}, given.get("metadata", {}))
        flow = self.flows.get(session.verification_flow or "", {})
        session.options = _options(flow, given.get("options", {}))
        session.provided_details = _details({}, given.get("provided_details", {}))
        self.sessions[session.id] = session
        self._open(session)
        self._record(session, "created", request)
        return session

    def find(self, session_id: str, scope: Scope | None = None) -> Session:
        """The session of that id (and scope). Raises StripeError (404) if there is none."""
        session = self.sessions.get(session_id)
        if session is None or scope not in (None, session.scope):
            raise no_such("verificationsession", session_id, "session")
        return session

    def refresh_link(self, session: Session) -> None:
        """Give a session whose link has expired a new one, as Stripe does on retrieval."""
        if session.status == REQUIRES_INPUT and session.link_expires <= self.clock.now():
            self._open(session)

    def update(self, session: Session, given: dict[str, Any]) -> None:
        """Change a session's parameters while it waits for a submission. Sends no event."""
        self._expect(session, "update", REQUIRES_INPUT)
        session.metadata = merge_metadata(session.metadata, given.get("metadata", {}))
        session.options = _options(session.options, given.get("options", {}))
        session.provided_details = _details(
            session.provided_details or {}, given.get("provided_details", {})
        )
        session.type = given.get("type", session.type)

    def cancel(self, session: Session, request: dict[str, str | None]) -> None:
        """Close a session that waits for a submission."""
        self._expect(session, "cancel", REQUIRES_INPUT)
        session.enter(CANCELED, self.clock.now())
        self._record(session, "canceled", request)

    def redact(self, session: Session, request: dict[str, str | None]) -> None:
        """Begin to redact; `tick` finishes it. A session in `requires_input` is canceled."""
        self._expect(session, "redact", *redactable(session, self.canceled_redaction))
        session.redaction = PROCESSING
        session.redaction_due = self.clock.now() + self.redaction_seconds
        if session.status == REQUIRES_INPUT:
            session.enter(CANCELED, self.clock.now())
            self._record(session, "canceled", request)
        self._wake(session.redaction_due, session)

    # Actions of people.

    def submit(
        self,
        session: Session,
        outcome: str,
        delay: float = 0.0,
        outputs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """A person submits: `processing` now, and `outcome` after `delay` seconds.

        `outcome` is `verified` or a code of `LAST_ERRORS`. `outputs` and `reason` replace
        what would be made up. Raises StripeError if the session accepts no submission.
        """
        self._expect(session, "submit", REQUIRES_INPUT)
        session.enter(PROCESSING, self.clock.now())
        session.last_error = None
        due = self.clock.now() + delay
        session.submission = {"due": due, "outcome": outcome, "outputs": outputs, "reason": reason}
        self._record(session, "processing", NO_REQUEST)
        if delay <= 0:
            self._finish(session)
        else:
            self._wake(due, session)

    def review(self, session: Session, status: str, code: str | None) -> None:
        """A reviewer changes the outcome of a submission; its report stays the last one."""
        self._expect(session, "review", VERIFIED, REQUIRES_INPUT)
        if session.last_verification_report is None:
            raise unexpected_state("This VerificationSession has no submission to review.")
        if status == session.status:
            raise unexpected_state(f"This VerificationSession is {status} already.")
        if code is not None:
            session.fail(session.last_verification_report)
        self._settle(session, code, None)

    def _finish(self, session: Session) -> None:
        submission = session.submission or {}
        session.submission = None
        outcome = submission["outcome"]
        code = None if outcome == VERIFIED else outcome
        if code in WITHOUT_REPORT:
            session.fail(f"at {int(self.clock.now())}")
        else:
            report_id = self._report(session, submission, code)
            if code is not None:
                session.fail(report_id)
        self._settle(session, code, submission["reason"])

    def _report(self, session: Session, submission: dict[str, Any], code: str | None) -> str:
        outputs = reports.person(self._ids.randomness, session) | (submission["outputs"] or {})
        report_id = self._ids.new("vr")
        error = None if code is None else _last_error(code, submission["reason"])
        self.reports[report_id] = reports.build(
            report_id, int(self.clock.now()), session, outputs, error
        )
        session.last_verification_report = report_id
        session.reports.append(report_id)
        session.verified_outputs = outputs
        return report_id

    def _settle(self, session: Session, code: str | None, reason: str | None) -> None:
        """Enter `verified`, or `requires_input` with an error and a fresh link."""
        if code is None:
            session.last_error = None
            session.enter(VERIFIED, self.clock.now())
            self._record(session, "verified", NO_REQUEST)
            return
        session.last_error = _last_error(code, reason)
        session.enter(REQUIRES_INPUT, self.clock.now())
        self._open(session)
        self._record(session, "requires_input", NO_REQUEST)

    # Effects of time.

    def next_due(self) -> float | None:
        """When `tick` has something to do, on the sandbox's clock; None for never."""
        return self._timers[0][0] if self._timers else None

    def tick(self) -> bool:
        """Finish due submissions and redactions; returns whether there was any."""
        ticked = False
        while self._timers and self._timers[0][0] <= self.clock.now():
            due, session_id = heapq.heappop(self._timers)
            session = self.sessions[session_id]
            if session.submission is not None and session.submission["due"] == due:
                self._finish(session)
            if session.redaction_due == due:
                self._complete_redaction(session)
            ticked = True
        return ticked

    def _complete_redaction(self, session: Session) -> None:
        session.redaction, session.redaction_due = "redacted", None
        redact_session(session)
        for event_id in session.events:
            self.events[event_id].object = redact_snapshot(self.events[event_id].object)
        for report_id in session.reports:
            report = self.reports[report_id]
            report.content = redact_report(report.content)
        self._record(session, "redacted", NO_REQUEST)

    def restore_timers(self) -> None:
        """Set the timers again after a restart."""
        for session in self.sessions.values():
            if session.submission is not None:
                self._wake(session.submission["due"], session)
            if session.redaction_due is not None:
                self._wake(session.redaction_due, session)

    def _wake(self, due: float, session: Session) -> None:
        heapq.heappush(self._timers, (due, session.id))

    def _open(self, session: Session) -> None:
        """A fresh secret and link: each is good for one submission."""
        mode = "live" if session.livemode else "test"
        session.client_secret = self._ids.new(f"{session.id}_secret_{mode}", 32)
        session.link = self._ids.new(mode, 48)
        session.link_expires = self.clock.now() + LINK_SECONDS
        self.links[session.link] = session.id

    def _expect(self, session: Session, action: str, *statuses: str) -> None:
        if session.redaction is not None:
            raise unexpected_state(
                f"You cannot {action} this VerificationSession because it is redacted, "
                "or about to be."
            )
        if session.status not in statuses:
            raise unexpected_state(
                f"You cannot {action} this VerificationSession because it has a status of "
                f"{session.status}. It must be in: {', '.join(statuses)}."
            )

    def _record(self, session: Session, name: str, request: dict[str, str | None]) -> None:
        snapshot = session.render(self.base_url)
        if session.status == VERIFIED:
            # Stripe leaves these out. Here they are sent, so that tests detect a receiver that
            # keeps or logs whole events.
            snapshot["verified_outputs"] = session.verified_outputs
        event = Event(
            id=self._ids.new("evt"),
            type=PREFIX + name,
            created=int(self.clock.now()),
            livemode=session.livemode,
            object=snapshot,
            request=request,
            path=self.accounts.path(session.account),
        )
        self.events[event.id] = event
        session.events.append(event.id)
        self.publish(event)


def _last_error(code: str, reason: str | None) -> dict[str, str]:
    return {"code": code, "reason": LAST_ERRORS[code] if reason is None else reason}


def _options(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """New options replace those of their name; an empty string removes them."""
    return {name: option for name, option in {**old, **new}.items() if option != ""}


def _details(old: dict[str, str], new: dict[str, str]) -> dict[str, str] | None:
    """New details replace those of their name; an empty string removes them."""
    return {name: detail for name, detail in {**old, **new}.items() if detail} or None
