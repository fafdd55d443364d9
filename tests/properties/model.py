"""Random lives of a user's sessions, and what must come of them: told without the domain's code.

Stripe's side is a list of moments in real time. An event shows the session at its moment, in whole
seconds; an answer shows it as it was read, with a Date of some time later.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from math import ceil, floor
from typing import Any

WITHOUT_REPORT = {"abandoned", "consent_declined", "under_supported_age"}
NEXT = {
    "abandoned": "retry",
    "consent_declined": "offer_alternative",
    "document_expired": "use_another_document",
    "selfie_face_mismatch": "retry",
    "selfie_manipulated": "review",
    "under_supported_age": "refuse",
}
REDACTIONS = [None, "validated", "processing", "redacted"]
RANKS = {"processing": 1, "verified": 3, "canceled": 4}
USERS = ["ann", "ben"]


@dataclass(frozen=True)
class Shown:
    """A session at one moment."""

    session: str
    created: int
    status: str = "requires_input"
    code: str | None = None
    report: str | None = None
    redaction: str | None = None
    client_reference_id: str | None = None
    user_id: str | None = None  # in metadata
    type: str = "document"
    selfie: bool = False

    def body(self) -> dict[str, Any]:
        """As Stripe writes it."""
        return {
            "id": self.session,
            "created": self.created,
            "status": self.status,
            "type": self.type,
            "livemode": False,
            "client_reference_id": self.client_reference_id,
            "metadata": {"user_id": self.user_id} if self.user_id else {},
            "last_error": self.code and {"code": self.code, "reason": "-"},
            "last_verification_report": self.report,
            "redaction": self.redaction and {"status": self.redaction},
            "options": {"document": {"require_matching_selfie": True}} if self.selfie else {},
        }


@dataclass(frozen=True)
class Seen:
    """What reaches the team: an event, or an answer of a call that took so long."""

    shown: Shown
    second: int  # the event's `created`, or the answer's Date
    name: str = ""  # "" for an answer
    id: str = ""
    took: float = 0

    @property
    def as_of(self) -> int:
        """The second that it counts for."""
        if self.id or self.shown.status == "canceled":
            return self.second
        return self.second - 1 - ceil(self.took)


@dataclass
class Life:
    """All that is seen, in the order in which it happened."""

    draw: random.Random
    now: float = 1_700_000_000.0
    seen: list[Seen] = field(default_factory=list)
    _numbers: int = 0

    def wait(self) -> None:
        """Often in the same second, sometimes much later."""
        self.now += self.draw.choice([0.01, 0.2, 0.4, 1.1, 5.0, 70.0])

    def event(self, shown: Shown, name: str) -> None:
        self._numbers += 1
        # Ids do not follow the order in which things happen.
        id = f"evt_{self.draw.randrange(10**6)}_{self._numbers}"
        self.seen.append(Seen(shown, floor(self.now), name, id))

    def answer(self, shown: Shown) -> None:
        """Read now. The Date is written somewhere between the reading and the call's end."""
        took = self.draw.choice([0.05, 0.6, 2.5, 9.0])
        date = floor(self.now + took * self.draw.random())
        seen = Seen(shown, date, took=took)
        same = [s for s in self.seen if not s.id and s.shown.session == shown.session]
        # Two different answers of one second: no rule says which is true.
        if all(s.as_of != seen.as_of for s in same):
            self.seen.append(seen)


# A session's moments: the event's name, or "" for a change that makes none, and what it then is.
Steps = list[tuple[str, Shown]]


def go(steps: Steps, name: str, **changes: Any) -> None:
    steps.append((name, replace(steps[-1][1], **changes)))


def steps_of(draw: random.Random, opened: Shown) -> Steps:
    """All that happens to one session."""
    steps: Steps = [("created", opened)]
    for attempt in range(draw.choice([0, 1, 1, 2, 3])):
        if draw.random() < 0.2:
            go(steps, "", type="id_number", selfie=draw.random() < 0.5)
        if opened.user_id and draw.random() < 0.2:
            go(steps, "", user_id=draw.choice(USERS))
        if submit(draw, steps, f"vr_{opened.session}_{attempt}") and draw.random() < 0.7:
            break
    if steps[-1][1].status == "verified" and draw.random() < 0.2:  # a reviewer
        go(steps, "requires_input", status="requires_input", code="selfie_manipulated")
    if steps[-1][1].status == "requires_input" and draw.random() < 0.4:
        go(steps, "canceled", status="canceled")
    if steps[-1][1].status != "processing" and draw.random() < 0.4:
        # Stripe sends `canceled` when a redaction begins, whatever the status is.
        go(steps, draw.choice(["", "canceled"]), redaction=draw.choice(["validated", "processing"]))
        if draw.random() < 0.7:
            go(steps, "redacted", redaction="redacted", report=None)
    return steps


def submit(draw: random.Random, steps: Steps, report: str) -> bool:
    """One attempt, whether it verifies; one that follows a verified first takes it back."""
    if steps[-1][1].status == "verified":
        go(steps, "requires_input", status="requires_input", code="selfie_manipulated")
    if draw.random() < 0.2:
        code = draw.choice(sorted(WITHOUT_REPORT))
        go(steps, "requires_input", status="requires_input", code=code)
        return False
    go(steps, "processing", status="processing", code=None)
    if draw.random() < 0.5:
        code = draw.choice(sorted(NEXT.keys() - WITHOUT_REPORT))
        go(steps, "requires_input", status="requires_input", code=code, report=report)
        return False
    go(steps, "verified", status="verified", report=report)
    return True


def live(draw: random.Random) -> list[Seen]:
    """One to three sessions of two users, interleaved, and what was asked meanwhile."""
    life = Life(draw)
    waiting = []
    for name in draw.sample(["vs_a", "vs_b", "vs_c"], draw.randint(1, 3)):
        named = draw.random() < 0.6
        user = draw.choice(USERS)
        shown = Shown(name, 0, client_reference_id=user if named else None)
        waiting.append(steps_of(draw, shown if named else replace(shown, user_id=user)))
    opened: dict[str, int] = {}
    while waiting:
        life.wait()
        moments = draw.choice(waiting)
        name, shown = moments.pop(0)
        shown = replace(shown, created=opened.setdefault(shown.session, floor(life.now)))
        if name:
            life.event(shown, name)
        if draw.random() < 0.3:
            life.answer(shown)
        waiting = [one for one in waiting if one]
    return life.seen


def rank(shown: Shown) -> int:
    if shown.status == "requires_input":
        return 2 if shown.code else 0
    return RANKS[shown.status]


@dataclass(frozen=True)
class Ended:
    """How one session ends."""

    last: Shown
    user: str | None
    since: int
    failed: frozenset[str]
    redaction: str | None


def end_of(seen: list[Seen]) -> Ended:
    """What is true of a session once all of this has been seen."""
    last = max(seen, key=lambda s: (s.as_of, rank(s.shown), s.id)).shown
    entering = {last.status, "created"} if last.status == "requires_input" else {last.status}
    entered = [s.second for s in seen if s.name in entering and not s.shown.redaction]
    failed = set()
    for s in seen:
        if s.name == "requires_input" and s.shown.code:
            bare = s.shown.code in WITHOUT_REPORT
            failed.add(f"at {s.second}" if bare else str(s.shown.report))
    named = [
        (bool(s.shown.client_reference_id), s.as_of, s.shown.client_reference_id or s.shown.user_id)
        for s in seen
    ]
    return Ended(
        last=last,
        user=max((one for one in named if one[2]), default=(False, 0, None))[2],
        since=max(entered),
        failed=frozenset(failed),
        redaction=max((s.shown.redaction for s in seen), key=REDACTIONS.index),
    )


def ends(seen: list[Seen]) -> dict[str, Ended]:
    """How each session ends."""
    by_session: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        by_session[one.shown.session].append(one)
    return {session: end_of(found) for session, found in by_session.items()}


def settled(seen: list[Seen]) -> dict[str, tuple[str, str | None]]:
    """What Stripe says in the end of each session whose last event was alone in its second."""
    found = {}
    for session in {one.shown.session for one in seen}:
        events = [one for one in seen if one.id and one.shown.session == session]
        last = events[-1]  # `seen` is in the order in which it happened
        if [one.second for one in events].count(last.second) == 1:
            found[session] = (last.shown.status, last.shown.code)
    return found


def standings(ended: dict[str, Ended]) -> dict[str, dict[str, Any]]:
    """How each user stands in the end who has a session."""
    found = {}
    for user in USERS:
        mine = {name: end for name, end in ended.items() if end.user == user}
        if not mine:
            continue
        good = [name for name in mine if mine[name].last.status == "verified"]
        open_ = [name for name in mine if mine[name].last.status != "canceled"]
        if good:
            chosen = max(good, key=lambda name: (mine[name].since, name))
        else:
            chosen = max(open_ or mine, key=lambda name: (mine[name].last.created, name))
        end = mine[chosen]
        last = end.last
        step = {"verified": "none", "canceled": "none", "processing": "wait"}.get(last.status)
        found[user] = {
            "status": last.status,
            "session_id": chosen,
            "since": end.since,
            "verified_at": end.since if good else None,
            "attempts": sum(len(one.failed) for one in mine.values()),
            "last_error_code": last.code,
            "next_step": step or (NEXT[last.code] if last.code else "submit"),
            "redaction": end.redaction,
            "type": last.type,
            "options": '{"document":{"require_matching_selfie":true}}' if last.selfie else None,
        }
    return found
