"""Starting a verification, seen from inside: its lock, its idempotency key, what it keeps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from app.domain.errors import Conflict, QueueUnavailable
from app.domain.reconcile import DUPLICATE
from app.domain.session import api_answer
from app.domain.snapshot import NO_METADATA_KEYS
from app.domain.standing import ReferenceKey
from app.operations import start_verification
from app.operations.open_session import Start, Started
from app.operations.start_verification import StartVerification
from app.stripe.answers import Page
from app.stripe.client import Answer, StripeApi
from app.stripe.errors import ErrorAnswer, SessionMissing, StripeRefused, StripeUnavailable
from tests.support.deployment import Deployment, letter
from tests.support.events import OPENED, session_body
from tests.support.places import counts, everything

NOW = OPENED + 100


class Stripe(StripeApi):
    """Keeps sessions by idempotency key, as Stripe does; no socket."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.hidden = False  # from the list, as if it were behind
        self._metadata_keys = NO_METADATA_KEYS
        self.keys: list[str] = []
        self.failing: list[int | None] = []
        self.busy = threading.Lock()

    def create(self, params: Mapping[str, Any], account: str, idempotency_key: str) -> Answer:
        assert self.busy.acquire(blocking=False), "two at once"
        try:
            self.keys.append(idempotency_key)
            if self.failing:
                raise StripeUnavailable("Stripe answered so", ErrorAnswer(self.failing.pop(0)))
            replayed = idempotency_key in self.sessions
            made = self.sessions.setdefault(
                idempotency_key,
                session_body(
                    f"vs_{len(self.sessions) + 1}",
                    reference=params["client_reference_id"],
                    created=OPENED + len(self.sessions),
                )
                | {"verification_flow": None, "options": {}}
                | dict(params),
            )
            return replace(self.answer(made, account), replayed=replayed)
        finally:
            self.busy.release()

    def fetch(
        self,
        session_id: str,
        account: str,
        expand: Sequence[str] = (),
        others: Mapping[str, Any] | None = None,
    ) -> Answer:
        for session in self.sessions.values():
            if session["id"] == session_id:
                return self.answer(session, account)
        raise SessionMissing("Stripe answered 404 resource_missing")

    def own_account(self) -> str | None:
        return None

    def list_sessions(self, params: Mapping[str, Any], account: str = "") -> Page:
        reference = params["client_reference_id"]
        found = [s for s in self.sessions.values() if s["client_reference_id"] == reference]
        return Page([] if self.hidden else found[::-1], False, NOW)

    def answer(self, body: dict[str, Any], account: str) -> Answer:
        return Answer(body, api_answer(body, account=account, date=NOW))


@pytest.fixture
def stripe() -> Stripe:
    return Stripe()


def starting_at(stripe: Stripe, deployment: Deployment, **settings: Any) -> StartVerification:
    """With these of the settings changed."""
    stores = deployment.stores
    return StartVerification(
        replace(stores, stripe=stripe, settings=replace(stores.settings, **settings))
    )


@pytest.fixture
def starting(deployment: Deployment, stripe: Stripe) -> StartVerification:
    return starting_at(stripe, deployment)


def asked(reference: str = "user-1", **fields: Any) -> Start:
    params = {"type": "document", "client_reference_id": reference, **fields.pop("params", {})}
    values = {"account": "", "livemode": False, "reverify": False, **fields}
    return Start(reference, params, **values)


def test_a_second_start_resumes_what_the_first_has_made(starting: StartVerification) -> None:
    first = starting.start(asked(), NOW)
    second = starting.start(asked(), NOW)
    assert (first.resumed, second.resumed) == (False, True)
    assert first.body["id"] == second.body["id"]


def test_many_at_once_ask_stripe_one_after_the_other(
    starting: StartVerification, stripe: Stripe
) -> None:
    started: list[Started] = []
    threads = [
        threading.Thread(target=lambda: started.append(starting.start(asked(), NOW)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.body["id"] for one in started} == {"vs_1"}
    assert len(stripe.keys) == 1
    assert len(started) == 5


@pytest.mark.parametrize(
    "other",
    [
        asked("user-2"),
        asked(account="acct_1"),
        asked(livemode=True),
        asked(params={"metadata": {"plan": "gold"}}),
    ],
    ids=["reference", "account", "mode", "parameters"],
)
def test_what_differs_has_a_key_of_its_own(
    deployment: Deployment, stripe: Stripe, other: Start
) -> None:
    starting = starting_at(stripe, deployment)
    stripe.hidden = True
    with pytest.MonkeyPatch.context() as patch:  # it dies before the ledger, each time
        patch.setattr(type(deployment.ledger), "apply", lambda *_, **__: [DUPLICATE])
        for start in (asked(), asked(), asked(expand=("verified_outputs",)), other):
            starting.start(start, NOW)
    assert stripe.keys[0] == stripe.keys[1] == stripe.keys[2] != stripe.keys[3]
    assert all(len(key) <= 255 for key in stripe.keys)


def test_a_key_reveals_nothing_about_the_person(
    starting: StartVerification, stripe: Stripe
) -> None:
    starting.start(asked("jenny@example.com", params={"metadata": {"name": "Jenny"}}), NOW)
    assert stripe.keys[0].startswith("start-")
    assert "jenny" not in stripe.keys[0].lower()


@pytest.mark.parametrize(
    ("status", "anew"), [(500, True), (503, True), (429, False), (None, False)]
)
def test_only_a_failure_that_stripe_stores_changes_the_key(
    starting: StartVerification, stripe: Stripe, status: int | None, anew: bool
) -> None:
    stripe.failing = [status]
    with pytest.raises(StripeUnavailable):
        starting.start(asked(), NOW)
    starting.start(asked(), NOW)
    assert (stripe.keys[0] != stripe.keys[1]) is anew


def test_redis_holds_no_reference_and_no_secret(
    starting: StartVerification, stripe: Stripe, deployment: Deployment
) -> None:
    stripe.failing = [500]
    with pytest.raises(StripeUnavailable):
        starting.start(asked("jenny"), NOW)
    body = starting.start(asked("jenny"), NOW).body
    held = repr(everything(deployment.redis))
    assert "identity:start-failures:" in held
    assert not any(text in held for text in ("jenny", body["client_secret"], body["url"]))
    assert all(deployment.redis.ttl(key) > 0 for key in deployment.redis.scan_iter("identity:*"))


def test_the_ledger_keeps_no_secret(starting: StartVerification, deployment: Deployment) -> None:
    body = starting.start(asked(), NOW).body
    assert body["id"] in json.dumps(deployment.snapshot(), default=str)
    for secret in (body["client_secret"], body["url"]):
        assert secret not in json.dumps(deployment.snapshot(), default=str)


def test_a_lock_that_cannot_be_had_in_time_is_reported(
    starting: StartVerification,
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    held_lock: None,
) -> None:
    monkeypatch.setattr(start_verification, "LOCK_WAIT", 0.1)
    with pytest.raises(QueueUnavailable):
        starting.start(asked(), NOW)
    assert starting.start(asked("user-2"), NOW).resumed is False


@pytest.fixture
def held_lock(redis: Redis) -> Iterator[None]:
    """Another process is starting the same reference."""
    key = ReferenceKey("", False, "user-1")
    with redis.lock(f"identity:start:{key.digest}", timeout=30):
        yield


def test_a_lock_is_let_go_whatever_happens(
    starting: StartVerification, stripe: Stripe, deployment: Deployment
) -> None:
    starting.start(asked(), NOW)
    stripe.sessions[stripe.keys[0]]["status"] = "verified"
    with pytest.raises(Conflict):
        starting.start(asked(), NOW)
    stripe.failing = [None]
    with pytest.raises(StripeUnavailable):
        starting.start(asked("user-2"), NOW)
    assert list(deployment.redis.scan_iter("identity:start:*")) == []


def test_a_start_that_has_lost_its_lock_creates_nothing(
    starting: StartVerification, stripe: Stripe, deployment: Deployment
) -> None:
    def too_slow(params: Mapping[str, Any], account: str = "") -> Page:
        for name in deployment.redis.scan_iter("identity:start:*"):
            deployment.redis.delete(name)  # it has expired
        return Page([], False, NOW)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "list_sessions", too_slow)
        with pytest.raises(QueueUnavailable):
            starting.start(asked(), NOW)
    assert stripe.keys == []


def test_what_stripe_does_not_know_decides_nothing(
    starting: StartVerification, stripe: Stripe, deployment: Deployment
) -> None:
    deployment.apply(letter("evt_1"), letter("evt_2", "processing", "user-2"))
    for reference in ("user-1", "user-2"):
        assert starting.start(asked(reference), NOW).resumed is False
        assert deployment.record(reference).missing == {f"vs_{reference}"}


def test_a_session_given_again_is_answered_as_it_is_now(
    starting: StartVerification, stripe: Stripe
) -> None:
    first = starting.start(asked(), NOW).body
    stripe.hidden = True  # and its answer was lost on the way to the ledger
    stripe.sessions[stripe.keys[0]] |= {"url": "https://verify.stripe.com/fresh"}
    second = starting.start(asked(), NOW)
    assert (second.body["id"], second.resumed) == (first["id"], True)
    assert second.body["url"] == "https://verify.stripe.com/fresh"


def test_a_session_given_again_that_is_over_is_followed_by_another(
    starting: StartVerification, stripe: Stripe, deployment: Deployment
) -> None:
    stripe.hidden = True
    with pytest.MonkeyPatch.context() as patch:  # it dies before the ledger
        patch.setattr(type(deployment.ledger), "apply", lambda *_, **__: [DUPLICATE])
        first = starting.start(asked(), NOW).body
    stripe.sessions[stripe.keys[0]]["status"] = "canceled"
    second = starting.start(asked(), NOW)
    assert second.body["id"] != first["id"]
    assert stripe.keys[0] == stripe.keys[1] != stripe.keys[2]


def test_a_started_session_that_changes_the_standing_is_notified(
    deployment: Deployment, stripe: Stripe
) -> None:
    starting_at(stripe, deployment, notify_stream="changes").start(asked(), NOW)
    assert counts(deployment.stores.effects)["queued"] == 1


def test_a_submission_just_before_an_update_is_seen(
    starting: StartVerification, stripe: Stripe
) -> None:
    starting.start(asked(), NOW)

    def too_late(*_: Any) -> Answer:
        stripe.sessions[stripe.keys[0]]["status"] = "processing"
        raise StripeRefused("Stripe answered 400 unexpected_state", ErrorAnswer(400))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "update", too_late)
        with pytest.raises(Conflict) as refused:
            starting.start(asked(params={"type": "id_number"}), NOW)
    assert refused.value.code == "session_processing"


def test_a_failure_after_which_there_is_a_session_makes_no_second_one(
    starting: StartVerification, stripe: Stripe
) -> None:
    create = stripe.create

    def fail_at_last(*arguments: Any) -> Answer:
        create(*arguments)
        raise StripeUnavailable("Stripe answered 500", ErrorAnswer(500))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe, "create", fail_at_last)
        with pytest.raises(StripeUnavailable):
            starting.start(asked(), NOW)
    assert starting.start(asked(), NOW).resumed is True
    assert len(stripe.sessions) == 1
