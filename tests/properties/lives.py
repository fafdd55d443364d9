"""Whole lives of a reference's sessions as Stripe would tell them, and what is true at their end.

The model is fed the steps in their true order and knows nothing of the code under test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from app.domain.attempts import ERRORS_WITHOUT_REPORT
from app.domain.event import SessionEvent
from app.domain.session import Observation, api_answer
from tests.support.events import event_body, session_body

CODES = [
    "abandoned",
    "consent_declined",
    "document_expired",
    "document_unverified_other",
    "selfie_face_mismatch",
    "selfie_manipulated",
    "under_supported_age",
]


FREE = ("abandoned", "consent_declined", "device_not_supported")


@dataclass(frozen=True)
class Step:
    """A session enters a status, or is redacted, in some second."""

    session: str
    name: str
    status: str
    code: str | None = None
    report: str | None = None
    redaction: str | None = None
    at: int = 0
    opened: int = 0

    def fields(self) -> dict[str, Any]:
        return {
            "created": self.opened,
            "error": self.code,
            "report": self.report,
            "redaction": self.redaction,
        }

    def observation(self) -> Observation:
        """What is seen of the step through the event that Stripe sends."""
        body = event_body(
            self.name,
            self.status,
            id=f"evt_{self.session}_{self.name}_{self.at}_{self.code}_{self.report}",
            at=self.at,
            session=self.session,
            **self.fields(),
        )
        event = SessionEvent.parse(body)
        assert event is not None
        return event.observation()

    def answer(self, date: int) -> Observation:
        """What is seen by asking Stripe after this step and before the session's next."""
        body = session_body(self.session, self.status, **self.fields())
        return api_answer(body, account="", date=date)


@st.composite
def scripts(draw: st.DrawFn, session: str) -> list[Step]:
    """created → [processing → fails | verified]* → maybe canceled, maybe redacted."""
    steps = [Step(session, "created", "requires_input")]
    for attempt in range(draw(st.integers(0, 3))):
        report = f"vr_{session}_{attempt}" if draw(st.integers(0, 3)) else None
        steps.append(Step(session, "processing", "processing"))
        if draw(st.booleans()):
            code = draw(st.sampled_from(CODES))
            if code in ERRORS_WITHOUT_REPORT:
                report = steps[-2].report
            steps.append(Step(session, "requires_input", "requires_input", code, report))
        else:
            steps.append(Step(session, "verified", "verified", None, report))
            # Verified is nearly for ever: a reviewer can take it back.
            if draw(st.integers(0, 4)):
                break
            steps.append(
                Step(session, "requires_input", "requires_input", "selfie_manipulated", report)
            )
    last = steps[-1]
    if last.status == "requires_input" and draw(st.booleans()):
        last = Step(session, "canceled", "canceled", last.code, last.report)
        steps.append(last)
    if last.status != "processing" and draw(st.integers(0, 2)) == 0:
        steps.append(Step(session, "redacted", last.status, last.code, last.report, "redacted"))
    return steps


@st.composite
def lives(draw: st.DrawFn, pauses: Sequence[int]) -> list[Step]:
    """One to three sessions of a reference, interleaved, `pauses` seconds between two steps."""
    count = draw(st.integers(1, 3))
    # Ids do not follow the order of creation, nor should anything else.
    names = draw(st.permutations(["vs_a", "vs_b", "vs_c"]))[:count]
    waiting = {name: draw(scripts(name)) for name in names}
    opened: dict[str, int] = {}
    life, now = [], 1_700_000_000
    for name in draw(st.permutations([n for n, steps in waiting.items() for _ in steps])):
        now += draw(st.sampled_from(list(pauses)))
        step = waiting[name].pop(0)
        opened.setdefault(name, now)
        life.append(Step(**{**step.__dict__, "at": now, "opened": opened[name]}))
    return life


def last_steps(life: Sequence[Step]) -> dict[str, Step]:
    """Each session's last step."""
    return {step.session: step for step in life}


def truth(life: Sequence[Step]) -> dict[str, Any]:
    """What the reference's standing must be once everything has arrived."""
    status: dict[str, str] = {}
    since: dict[str, int] = {}
    code: dict[str, str | None] = {}
    redacted: set[str] = set()
    opened: dict[str, int] = {}
    attempts: dict[tuple[str, str | int | None], tuple[int, str | None]] = {}
    last_verified = 0
    for step in life:
        if step.name == "redacted":
            redacted.add(step.session)
            continue
        opened.setdefault(step.session, step.at)
        status[step.session] = step.status
        since[step.session] = step.at
        code[step.session] = step.code
        if step.name == "requires_input":
            has_report = step.report and step.code not in ERRORS_WITHOUT_REPORT
            name = (step.session, step.report if has_report else step.at)
            # Two without a report in one second cannot be told apart: they are one, that counts if
            # either does.
            if name not in attempts or attempts[name][1] in FREE:
                attempts[name] = (step.at, step.code)
        if step.name == "verified":
            last_verified = step.at

    verified = [(since[name], name) for name in status if status[name] == "verified"]
    still_open = [(opened[name], name) for name in status if status[name] != "canceled"]
    every = [(opened[name], name) for name in status]
    chosen = max(verified or still_open or every)[1]
    return {
        "status": status[chosen],
        "session_id": chosen,
        "since": since[chosen],
        "verified_at": since[chosen] if verified else None,
        "attempts": len(attempts),
        "attempts_counted": sum(
            at > last_verified and code not in FREE for at, code in attempts.values()
        ),
        "last_error_code": code[chosen],
        "redaction": "redacted" if chosen in redacted else None,
    }
