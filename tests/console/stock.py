"""What a console has to show: users in every state, and some of all that can go wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from app.domain.durations import DAY, HOUR, MINUTE
from app.ledger.counts import count_standings
from app.local.fault_injection import broken_session
from app.operations.bulk.preview import preview_operation
from app.operations.bulk.selection import LetterSet
from app.operations.bulk.start import start_operation
from tests.console.site import REDACTOR, WITHIN, Site, job_of
from tests.support.events import event_body
from tests.support.waiting import eventually

# References that a page must bear: one that would be a script, and one without a place to break.
SCRIPT = "<script>alert(1)</script>"
LONG = "customer-" + "0123456789abcdef" * 12
CODES = ("document_expired", "document_unverified_other", "selfie_face_mismatch")
# More of each than any page of a list shows.
MANY = 60


class Lives:
    """Makes events of sessions, each under an id of its own."""

    def __init__(self, now: float) -> None:
        self._now = int(now)
        self._numbers = itertools.count(1)

    def event(
        self, session: str, name: str, status: str, ago: float, **fields: Any
    ) -> dict[str, Any]:
        """One event, of so many seconds ago."""
        id = f"evt_{session[3:]}_{next(self._numbers)}"
        return event_body(name, status, id=id, at=self._now - int(ago), session=session, **fields)

    def opened(self, user: str | None, ago: float, session: str = "") -> dict[str, Any]:
        """Somebody has opened a session, and no more."""
        session = session or f"vs_{user}"
        return self.event(session, "created", "requires_input", ago, **self._of(user, ago))

    def ended(
        self, user: str, ago: float, status: str, error: str | None = None, session: str = ""
    ) -> Iterator[dict[str, Any]]:
        """A session from its beginning to its end: opened, submitted, and what Stripe says."""
        session = session or f"vs_{user}"
        of = self._of(user, ago)
        yield self.opened(user, ago, session)
        yield self.event(session, "processing", "processing", ago - MINUTE, **of)
        yield self.event(session, status, status, ago - 2 * MINUTE, error=error, **of)

    def _of(self, user: str | None, ago: float) -> dict[str, Any]:
        return {"reference": user, "created": self._now - int(ago)}


def fill(site: Site) -> None:
    """Fill queue and ledger through the product. Workers must not be running."""
    lives = Lives(time.time())
    leave_letters(site, lives)
    with site.workers():
        site.deliver(*users(lives))
        site.await_quiet()
        break_some(site, lives)
        known_to_stripe(site)
        site.await_quiet()
    site.ids["operation"] = start_replay(site)
    looked_at(site)


def leave_letters(site: Site, lives: Lives) -> None:
    """Dead letters of several reasons, and jobs that are tried again."""
    deployment = site.deployment
    for number in range(MANY):
        job = job_of(lives.opened(f"lost-{number:02d}", HOUR + number))
        deployment.bury(job, reason="crashed_worker", error_class="LeaseExpired")
        deployment.age(job.id, minutes=number)
    for number, error in enumerate(("StripeUnavailable", "StripeUnavailable", "LedgerUnavailable")):
        job = job_of(lives.opened(f"late-{number}", HOUR))
        deployment.defer(job, error_class=error, seconds=600 * (number + 1))
    # One whose effect has died, too.
    deployment.apply(job_of(lives.opened("untold", HOUR)))
    (effect,) = deployment.stores.effects.claim("token", 60, 1)
    deployment.stores.effects.bury(
        effect, "attempts_exhausted", "CallbackFailed", "it answered 500"
    )


def users(lives: Lives) -> Iterator[dict[str, Any]]:
    """Users of the last hours and days, in every state."""
    for number in range(24):
        yield from lives.ended(f"fine-{number:02d}", (number + 1) * HOUR * 0.9, "verified")
    for number in range(40):
        yield from lives.ended(f"older-{number:02d}", DAY + (number + 1) * 3 * HOUR, "verified")
    for number in range(9):
        code = CODES[number % len(CODES)]
        yield from lives.ended(f"failed-{number}", (number + 1) * HOUR, "requires_input", code)
    for number in range(4):
        yield lives.opened(f"abandoned-{number}", (number + 2) * HOUR)
        yield from lives.ended(f"left-{number}", 3 * HOUR, "requires_input", "abandoned")
    for number in range(3):  # as many failures as MAX_ATTEMPTS allows
        session = f"vs_exhausted_{number}"
        yield from lives.ended(
            "exhausted", (9 - number) * HOUR, "requires_input", CODES[0], session
        )
    yield from lives.ended("lena", 5 * HOUR, "requires_input", CODES[0], "vs_lena_first")
    for number in range(MANY):
        yield lives.opened(None, DAY + number, f"vs_orphan_{number:02d}")
    yield lives.opened(SCRIPT, HOUR, "vs_script")
    yield from lives.ended(LONG, 2 * HOUR, "verified", session="vs_long")
    # Forty changes of one user: more than a page of its timeline shows.
    for number in range(20):
        session = f"vs_often_{number:02d}"
        yield from lives.ended("often", (30 - number) * DAY, "canceled", session=session)


def break_some(site: Site, lives: Lives) -> None:
    """Events that the ledger refuses: they die for a reason of its own, with a traceback."""
    for number in range(4):
        user = f"broken-{number}"
        session = f"vs_broken_{number}"
        site.deliver(lives.opened(user, 2 * HOUR, session))
        site.await_quiet()
        _, *rest = lives.ended(user, 2 * HOUR, "verified", session=session)
        with broken_session(site.deployment.stores.engine, session):
            site.deliver(*rest)
            ids = {str(body["id"]) for body in rest}
            eventually(lambda ids=ids: ids <= site.deployment.dead, WITHIN, "death")  # type: ignore[misc]
        site.ids["letter"] = str(rest[-1]["id"])


def known_to_stripe(site: Site) -> None:
    """Sessions that Stripe has, which webhooks told nothing of: one of a user, one of nobody."""
    session = site.open_session("lena")
    site.sandbox.submit(session, "verified")
    site.ids |= {"session": session, "orphan": site.open_session()}
    site.backfill()
    eventually(lambda: site.status("lena") == "verified", WITHIN, "lena's verification")


def start_replay(site: Site) -> str:
    """A replay of two letters that waits for workers; its id."""
    stores, now = site.deployment.stores, time.time()
    letters = [letter.id for letter in stores.dead_letters("events") if "lost" in letter.id]
    chosen = LetterSet("events", ids=tuple(letters[-2:]))
    return start_operation(
        stores,
        kind="replay",
        selection=chosen,
        digest=preview_operation(stores, "replay", chosen, now).digest,
        reason="two of those that the crash left, to see whether they pass now",
        rate=1.0,
        who=REDACTOR,
        via="console",
        now=now,
        new_id=lambda: "0123456789ab",
    ).id


def looked_at(site: Site) -> None:
    """What the clock counts, and what somebody has asked for once."""
    for _ in range(2):  # it counts up to where it had come the time before
        count_standings(site.deployment.stores.engine, int(time.time()))
    with site.signed_in(REDACTOR) as http:
        address = site.url + "/console/health/examine"
        answer = http.post(address, headers={"Origin": site.url}, timeout=WITHIN)
        assert answer.ok, answer.text
