"""`POST /v1/references/{id}/redact`: a user is forgotten, and that it happened is not."""

from __future__ import annotations

import pytest
from redis import Redis

from app.domain.snapshot import SessionKey
from app.local.valkey import free_port
from app.queue.dead_letters import DeadLetters
from app.queue.model import EFFECTS, EVENTS, effect_job
from tests.sandbox.processes import Sandbox
from tests.support.places import counts
from tests.support.workers import event_job
from tests.web.sessions.conftest import AT_STRIPE, BEARER, Backend, error_of, opened_backend
from workers.jobs import process_event

FOUR_DAYS = 4 * 24 * 3600


def finish(backend: Backend, *sessions: str) -> None:
    """Four days pass at Stripe, and its events come."""
    backend.sandbox.control("POST", "/clock", {"advance": FOUR_DAYS})
    for session in sessions:
        backend.see(session)


def verified(backend: Backend, reference: str) -> str:
    """A session that is verified, by a second attempt."""
    id = str(backend.created(reference, reverify=True)["id"])
    for outcome in ("document_expired", "verified"):
        backend.sandbox.submit(id, outcome)
        backend.see(id)
    return id


def test_every_session_of_the_reference_is_redacted(backend: Backend, reference: str) -> None:
    one, two = verified(backend, reference), backend.created(reference, reverify=True)["id"]
    other = backend.created(reference + "-x")["id"]
    answer = backend.redact_reference(reference)
    assert answer.status_code == 202
    assert answer.json()["client_reference_id"] == reference
    assert {each["id"]: each["redaction"] for each in answer.json()["sessions"]} == {
        one: "asked",
        two: "asked",
    }
    backend.run_effects()
    assert backend.sandbox.truth(one)["redaction"] == "processing"
    assert backend.sandbox.truth(two)["redaction"] == "processing"
    assert backend.sandbox.truth(other)["redaction"] is None


def test_a_session_whose_events_never_came_is_redacted_as_well(
    backend: Backend, reference: str
) -> None:
    known = backend.created(reference)["id"]
    sessions = backend.sandbox.client().v1.identity.verification_sessions
    unknown = sessions.create({"type": "document", "client_reference_id": reference}).id
    answer = backend.redact_reference(reference)
    assert {each["id"] for each in answer.json()["sessions"]} == {known, unknown}
    backend.run_effects()
    assert backend.sandbox.truth(unknown)["redaction"] == "processing"


def test_a_user_of_whom_only_stripe_knows_is_redacted(backend: Backend, reference: str) -> None:
    sessions = backend.sandbox.client().v1.identity.verification_sessions
    session = sessions.create({"type": "document", "client_reference_id": reference}).id
    answer = backend.redact_reference(reference)
    assert (answer.status_code, [each["id"] for each in answer.json()["sessions"]]) == (
        202,
        [session],
    )


def test_if_stripe_is_away_nothing_is_promised(backend: Backend, reference: str) -> None:
    backend.created(reference)
    backend.sandbox.control("POST", "/faults", {"method": "GET", "hang_up": True})
    error = error_of(backend.redact_reference(reference), 503)
    assert "Stripe cannot be reached" in error["message"]
    assert backend.run_effects() == []


def test_the_outcome_outlives_the_redaction(backend: Backend, reference: str) -> None:
    id = verified(backend, reference)
    before = backend.reference(reference).json()["standing"]
    backend.redact_reference(reference)
    backend.run_effects()
    assert backend.reference(reference).json()["standing"]["redaction"] == "processing"
    finish(backend, id)
    told = backend.reference(reference).json()
    kept = ("status", "session_id", "since", "verified_at", "attempts")
    assert {name: told["standing"][name] for name in kept} == {name: before[name] for name in kept}
    assert told["standing"]["redaction"] == "redacted"
    assert [session["redaction"] for session in told["sessions"]] == ["redacted"]
    assert told["timeline"][-1]["redaction"] == "redacted"
    assert error_of(backend.create(reference), 409)["code"] == "reference_verified"


def test_a_session_in_process_is_redacted_once_it_is_decided(
    backend: Backend, reference: str
) -> None:
    id = backend.created(reference)["id"]
    backend.sandbox.submit(id, "verified", delay=FOUR_DAYS)
    backend.see(id)
    (asked,) = backend.redact_reference(reference).json()["sessions"]
    assert (asked["status"], asked["redaction"]) == ("processing", "asked")
    queue = backend.context.stores.effects
    (job,) = (job for job in queue.claim("token", 60, 10) if job.id.endswith("-redact"))
    with pytest.raises(Exception, match="processing"):
        backend.run_effects()
    assert backend.sandbox.truth(id)["redaction"] is None
    assert queue.retry_later(job, 0, "StripeUnavailable", "it is processing")
    backend.sandbox.control("POST", "/clock", {"advance": FOUR_DAYS})
    backend.run_effects()
    truth = backend.sandbox.truth(id)
    assert (truth["status"], truth["redaction"]) == ("verified", "processing")


def test_what_is_redacted_already_is_left_alone(backend: Backend, reference: str) -> None:
    id = verified(backend, reference)
    backend.post(f"/{id}/redact")
    backend.see(id)
    (told,) = backend.redact_reference(reference).json()["sessions"]
    assert told == {"id": id, "status": "verified", "redaction": "processing"}
    assert [row.kind for row in backend.run_effects() if row.kind == "redact"] == []


def test_asking_twice_asks_stripe_once(backend: Backend, reference: str) -> None:
    id = verified(backend, reference)
    for _ in range(2):
        (told,) = backend.redact_reference(reference).json()["sessions"]
        assert told["redaction"] == "asked"
    backend.run_effects()
    assert backend.sandbox.truth(id)["redaction"] == "processing"
    (told,) = backend.redact_reference(reference).json()["sessions"]
    assert told["redaction"] == "processing"


def test_a_canceled_session_needs_no_second_try(
    backend: Backend, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = backend.created(reference)["id"]
    backend.post(f"/{id}/cancel")
    backend.see(id)
    # Stripe's documentation names `requires_input` and `verified` only: either answer is well.
    backend.sandbox.control(
        "POST",
        "/faults",
        {"path": f"{AT_STRIPE}/{id}/redact", "status": 400},
    )
    backend.redact_reference(reference)
    (row,) = (row for row in backend.run_effects() if row.kind == "redact")
    assert backend.context.stores.ledger.effect_status(row.id) == "dropped"


def test_the_effects_are_queued_at_once(backend: Backend, redis: Redis, reference: str) -> None:
    backend.created(reference)
    backend.redact_reference(reference)
    assert counts(backend.context.stores.effects)["queued"] == 1


def test_without_redis_the_effects_wait_in_the_ledger(
    environment: dict[str, str], sandbox: Sandbox, backend: Backend, reference: str
) -> None:
    backend.created(reference)
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    with opened_backend(environment | away, sandbox) as without:
        assert without.redact_reference(reference).status_code == 202
    assert [row.kind for row in backend.run_effects()] == ["redact"]


def test_a_reference_never_seen_is_404(backend: Backend) -> None:
    for reference in ("nobody", "a\0b", "x" * 5_001):
        error = error_of(backend.redact_reference(reference), 404)
        assert error["param"] == "client_reference_id"


@pytest.mark.parametrize("odd", ["a/b/redact", "redact", "ends/", "ünï \n"])
def test_any_reference_can_be_redacted(backend: Backend, odd: str) -> None:
    id = backend.created(odd)["id"]
    answer = backend.redact_reference(odd)
    assert (answer.status_code, answer.json()["client_reference_id"]) == (202, odd)
    assert [each["id"] for each in answer.json()["sessions"]] == [id]


def test_accounts_are_kept_apart(backend: Backend, reference: str) -> None:
    own = backend.created(reference)["id"]
    params = {"type": "document", "client_reference_id": reference}
    other = backend.post("", params, {"Stripe-Account": "acct_1"}).json()["id"]

    def asked(query: str = "", **headers: str) -> list[str]:
        answer = backend.redact_reference(reference, query, **headers)
        assert answer.status_code == 202, answer.text
        return [each["id"] for each in answer.json()["sessions"]]

    assert asked() == [own]
    # As Stripe's calls name it, and as reading a reference does.
    assert asked(**{"Stripe-Account": "acct_1"}) == [other]
    assert asked("account=acct_1") == [other]
    two = {"Stripe-Account": "acct_1"}
    assert error_of(backend.redact_reference(reference, "account=acct_2", **two), 400)


@pytest.mark.parametrize(
    ("query", "param"),
    [("account=a b", "account"), ("livemode=true", "livemode"), ("color=x", "color")],
)
def test_what_would_redact_others_than_meant_is_400(
    backend: Backend, reference: str, query: str, param: str
) -> None:
    backend.created(reference)
    assert error_of(backend.redact_reference(reference, query), 400)["param"] == param
    assert backend.run_effects() == []
    assert backend.redact_reference(reference, "livemode=false").status_code == 202


def test_without_an_api_key_nothing_is_promised(
    environment: dict[str, str], sandbox: Sandbox, backend: Backend, reference: str
) -> None:
    backend.created(reference)
    with opened_backend(environment | {"STRIPE_API_KEY": ""}, sandbox) as keyless:
        assert "STRIPE_API_KEY" in error_of(keyless.redact_reference(reference), 503)["message"]
    assert backend.run_effects() == []


def test_no_token_is_401(backend: Backend, reference: str) -> None:
    backend.created(reference)
    answer = backend.client.post(f"/v1/references/{reference}/redact")
    assert error_of(answer, 401)["type"] == "authentication_error"
    assert backend.run_effects() == []


def test_if_the_ledger_is_away_it_is_503(
    environment: dict[str, str], sandbox: Sandbox, redis: Redis, reference: str
) -> None:
    away = {"DATABASE_URL": "sqlite:////no/such/folder/ledger.db"}
    with opened_backend(environment | away, sandbox) as backend:
        answer = backend.redact_reference(reference)
    error = error_of(answer, 503)
    assert (error["type"], error["message"]) == ("api_error", "the ledger is away: try again")
    assert int(answer.headers["retry-after"]) > 0


def test_a_request_for_another_method_is_405(backend: Backend, reference: str) -> None:
    answer = backend.client.delete(f"/v1/references/{reference}/redact", headers=BEARER)
    assert answer.status_code == 405


def test_no_report_is_named_any_more(backend: Backend, reference: str) -> None:
    id = verified(backend, reference)
    backend.redact_reference(reference)
    backend.run_effects()
    finish(backend, id)
    backend.run_effects()
    session = backend.context.stores.ledger.read_session(SessionKey(id, "", False))
    assert session is not None
    assert session.snapshot.report is None
    assert session.attempts == 1


def test_no_letter_and_no_queue_names_the_reference_any_more(
    backend: Backend, reference: str
) -> None:
    id, other = verified(backend, reference), backend.created(reference + "-x")["id"]
    events, effects = backend.context.stores.events, backend.context.stores.effects
    job = event_job("evt_1", "verified", "verified", session=id, reference=reference)
    kept = event_job("evt_2", session=other, reference=reference + "-x")
    events.enqueue_all([job, kept])
    for claimed in events.claim("token", 60, 10):
        assert events.bury(claimed, "permanent_error", "Broken", "it broke")
    backend.redact_reference(reference)
    rows = backend.run_effects()
    for claimed in effects.claim("token", 60, 10):
        assert effects.bury(claimed, "permanent_error", "Broken", "it broke")
    # One that a redaction after so many days is to run, and is for ever in Redis till then.
    later = effect_job(rows[0], 0)
    effects.enqueue(type(later)("later", later.payload, "redact", 90 * 86400))
    finish(backend, id)
    backend.run_effects()
    connection = events.connection
    letters = [*DeadLetters(connection, EVENTS), *DeadLetters(connection, EFFECTS)]
    named_by = {letter.id: letter.payload.get("reference") for letter in letters}
    assert named_by == {
        "evt_1": None,
        "evt_2": reference + "-x",
        **{row.id: None for row in rows if row.kind == "redact"},
    }
    named = [line for line in backend.redis().split("'") if reference in line and other not in line]
    assert all(reference + "-x" in line for line in named), named


def test_a_letter_that_is_replayed_after_it_still_finds_its_reference(
    backend: Backend, reference: str
) -> None:
    id = verified(backend, reference)
    events = backend.context.stores.events
    job = event_job("evt_1", "verified", "verified", session=id, reference=reference, at=1)
    events.enqueue(job)
    (claimed,) = events.claim("token", 60, 1)
    assert events.bury(claimed, "permanent_error", "Broken", "it broke")
    backend.redact_reference(reference)
    backend.run_effects()
    finish(backend, id)
    backend.run_effects()
    (letter,) = DeadLetters(events.connection, EVENTS)
    process_event(list(letter.payload.values()), backend.context)
    record = backend.record(reference)
    assert record is not None
    assert (record.standing.status, record.standing.redaction) == ("verified", "redacted")
    assert {session.id for session in record.sessions} == {id}
