"""The demo's steps: scenarios at the sandbox, a fault and its replay, and the final comparison."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.progress import Progress
from sqlalchemy import select

from app.configuration.settings import Settings
from app.ledger.tables import events
from app.local.comparison import Comparison
from app.local.fault_injection import applied_names, broken_session
from app.local.sandbox_client import SandboxClient
from app.local.scenarios import Scenario, run
from app.local.stack import NotStarted, Stack
from app.local.stories import Replayed, SentEvent, Story, stories
from app.queue.backlog import read_backlog
from app.queue.model import EVENTS
from app.stores import Stores, opened_stores

# Scenarios at once: more would only wait for the two cores.
CONCURRENCY = 4
# Seconds for what is under way to arrive after the last scenario. A tie is settled by a recheck
# after three seconds; a delivery that chaos holds back comes within two.
SETTLE_TIMEOUT = 30.0
SETTLE_TIMEOUT_PER_REFERENCE = 0.1
POLL_INTERVAL = 0.25
# Between two rounds of the replay. An event that was claimed during the fault may be buried just
# after its end, and the last round should see it.
REPLAY_INTERVAL = 0.5
# How many of Stripe's newest events are looked at for what they tell of a user.
MAX_EVENTS_TOLD = 500
# The share of deliveries that the sandbox repeats, and that it holds back.
CHAOS = {"duplicate": 0.3, "reorder": 0.3}


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Every reference at the end, and how many deliveries and dead letters there were."""

    comparisons: list[Comparison]
    stories: list[Story]
    deliveries: int
    duplicates: int
    dead_lettered: int
    replayed: int


def run_demo(stack: Stack, scenarios: list[Scenario], progress: Progress) -> DemoResult:
    """Start the stack and run the demo on it, with a bar on `progress` for each step.

    Raises NotStarted and RuntimeError if a process does not start, or no event fails as it should.
    """
    with opened_stores(Settings.from_environment(stack.environment)) as stores:
        return Demo(stack, stores, progress).run(scenarios)


class Demo:
    """Runs the demo's steps in order."""

    def __init__(self, stack: Stack, stores: Stores, progress: Progress) -> None:
        """`stack` is not started yet; `stores` are those of its environment."""
        self._stack = stack
        self._stores = stores
        self._progress = progress
        self._client = SandboxClient(stack.sandbox, stack.secrets.api_key)

    def run(self, scenarios: list[Scenario]) -> DemoResult:
        """Run the demo. The fault replaces the steps of the first scenario."""
        self._start()
        self._client.control("chaos", CHAOS)
        self._client.control("redaction", {"seconds": 0})
        reference = scenarios[0].reference
        victim = self._client.create(reference)
        self._await_first_event(victim)
        with broken_session(self._stores.engine, victim):
            self._client.submit(victim, "document_expired")
            self._await_dead_letter()
            self._run_scenarios(scenarios[1:])
        record = self._stores.ledger.read_reference(reference, livemode=False)
        before = None if record is None else record.standing
        dead, replayed = self._replay()
        comparisons = self._settle(len(scenarios))
        failed = Replayed(reference, before, len(dead), ", ".join({*dead.values()}))
        deliveries = self._client.control("deliveries")
        return DemoResult(
            comparisons=comparisons,
            stories=stories(comparisons, self._sent_events(), failed),
            deliveries=int(deliveries["deliveries"]),
            duplicates=int(deliveries["outcomes"].get("duplicate", 0)),
            dead_lettered=len(dead),
            replayed=replayed,
        )

    def _start(self) -> None:
        task = self._progress.add_task("Starting the processes", total=4)

        def report(what: str) -> None:
            self._progress.update(task, description=f"Starting {what}")
            self._progress.advance(task)

        self._stack.start(report)
        self._progress.update(task, description="Everything is up")

    def _run_scenarios(self, scenarios: list[Scenario]) -> None:
        task = self._progress.add_task("Running the scenarios", total=len(scenarios))
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            for _ in pool.map(lambda scenario: run(scenario, self._client), scenarios):
                self._progress.advance(task)

    def _await_first_event(self, session_id: str) -> None:
        """Until the ledger knows the session: what fails is what happens to it then."""
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while "created" not in applied_names(self._stores.engine, session_id):
            if time.monotonic() > deadline:
                raise NotStarted("no event reached the ledger")
            time.sleep(POLL_INTERVAL)

    def _await_dead_letter(self) -> None:
        task = self._progress.add_task("One session's events fail", total=1)
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while not self._counts()["failed"]:
            if time.monotonic() > deadline:
                raise NotStarted("no event reached the dead letters, though one was made to fail")
            time.sleep(POLL_INTERVAL)
        self._progress.advance(task)

    def _replay(self) -> tuple[dict[str, str], int]:
        """Replay until no dead letter is left; gives their errors by id, and how many replays."""
        task = self._progress.add_task("Replaying them", total=None)
        errors: dict[str, str] = {}
        replayed = 0
        deadline = time.monotonic() + SETTLE_TIMEOUT
        while time.monotonic() < deadline:
            dead = {
                letter.id: letter.error_class for letter in self._stores.dead_letters(EVENTS.name)
            }
            errors |= dead
            replayed += self._stores.events.replay(list(dead))
            if errors and not dead:
                break
            time.sleep(REPLAY_INTERVAL)
        self._progress.update(task, total=len(errors), completed=len(errors))
        return errors, replayed

    def _settle(self, references: int) -> list[Comparison]:
        """Wait until nothing is under way and every reference matches, or the time is up."""
        task = self._progress.add_task("References that agree with Stripe", total=references)
        seconds = SETTLE_TIMEOUT + SETTLE_TIMEOUT_PER_REFERENCE * references
        deadline = time.monotonic() + seconds
        while True:
            quiet = not self._client.control("deliveries")["pending"]
            quiet = quiet and not any(self._counts().values())
            comparisons = self._compare()
            matching = sum(comparison.matches for comparison in comparisons)
            self._progress.update(task, completed=matching)
            settled = quiet and matching == references
            if settled or time.monotonic() > deadline or self._stack.dead():
                return comparisons
            time.sleep(POLL_INTERVAL)

    def _counts(self) -> dict[str, int]:
        return dict(read_backlog(self._stores.redis, EVENTS).counts)

    def _compare(self) -> list[Comparison]:
        truths = self._client.truth()
        standings = dict(self._stores.ledger.all_standings(livemode=False))
        return [
            Comparison(reference, standings.get(reference), truths[reference])
            for reference in sorted(truths)
        ]

    def _sent_events(self) -> dict[str, list[SentEvent]]:
        """Stripe's newest events by reference, oldest first, with when the ledger applied them.

        Not those of a reference that has older ones too: its story would have no beginning.
        """
        sent = self._client.newest_events(MAX_EVENTS_TOLD)
        chosen = select(events.c.id, events.c.applied_at)
        with self._stores.engine.connect() as connection:
            found = connection.execute(chosen.where(events.c.id.in_([one.id for one in sent])))
            applied_at = {row.id: row.applied_at for row in found}
        by_reference: dict[str, list[SentEvent]] = {}
        for one in sent:
            told = SentEvent(one.name, one.session, applied_at.get(one.id))
            by_reference.setdefault(one.reference, []).append(told)
        return {
            reference: told for reference, told in by_reference.items() if told[0].name == "created"
        }
