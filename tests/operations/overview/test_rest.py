"""What needs a person, who is hit, and how far users came: from a real Redis and ledger."""

from __future__ import annotations

import json

from app.domain.durations import DAY
from app.ledger.counts import count_standings
from app.operations.notify import gone_flag
from app.operations.overview import overview as module
from app.operations.overview.needs import Need
from tests.operations.overview.conftest import Make, redis_time, without_ledger, without_redis
from tests.support.deployment import Deployment, letter
from tests.support.events import OPENED
from tests.support.ledger import observation

URL = "https://example.com/changed"


def needs_of(make: Make, **options: object) -> dict[tuple[str, str | None], Need]:
    """By kind and reason."""
    return {(need.kind, need.reason): need for need in make(**options).rest().needs}


def test_nothing_needs_a_person(make: Make) -> None:
    assert needs_of(make) == {}


def test_dead_letters_are_told_by_queue_and_reason_with_their_users(
    deployment: Deployment, make: Make
) -> None:
    deployment.bury(*(letter(f"evt_{n}", reference=f"user-{n % 2}") for n in range(3)))
    deployment.bury(letter("evt_9", reference=None), reason="timed_out")
    deployment.age("evt_0", hours=3)
    found = needs_of(make)
    broken, late = found["dead_letters", "permanent_error"], found["dead_letters", "timed_out"]
    assert (str(broken.count), str(broken.users), broken.queue) == ("3", "2", "events")
    assert (str(late.count), str(late.users)) == ("1", "1")
    assert 10_700 < (broken.oldest_seconds or 0) < 10_900
    assert broken.command == "dlq replay --reason permanent_error"


def test_a_dead_effect_is_told_with_the_command_for_its_queue(
    deployment: Deployment, make: Make
) -> None:
    deployment.bury_effect()
    need = needs_of(make)["dead_letters", "permanent_error"]
    assert (need.queue, str(need.users)) == ("effects", "1")
    assert need.command == "dlq replay --reason permanent_error --queue effects"


def test_what_is_tried_again_is_told_by_its_error(deployment: Deployment, make: Make) -> None:
    deployment.defer(letter("evt_1"), letter("evt_2"), error_class="Busy", seconds=90)
    need = needs_of(make)["deferred", "Busy"]
    assert (str(need.count), str(need.users)) == ("2", "1")
    assert 90 <= (need.oldest_seconds or 0) < 120


def test_of_many_letters_the_newest_are_looked_at(deployment: Deployment, make: Make) -> None:
    jobs = [letter(f"evt_{n}", reference=f"user-{n}") for n in range(600)]
    for start in range(0, len(jobs), 100):
        deployment.bury(*jobs[start : start + 100])
    rest = make().rest()
    (need,) = rest.needs
    assert (str(need.count), str(need.users)) == ("at least 500", "at least 500")
    assert rest.hit is not None
    assert (len(rest.hit.users), rest.hit.more) == (module.HIT, True)


def test_orphans_reviews_and_redactions_are_told(deployment: Deployment, make: Make) -> None:
    now = int(redis_time(deployment))
    for seen in (
        observation("processing", now, session="vs_1", reference=None),
        observation("requires_input", now, session="vs_2", error="selfie_manipulated"),
        observation("canceled", now - 5 * DAY, session="vs_3", redaction="processing"),
    ):
        deployment.ledger.apply([seen], policy=None, now=now)
    (key,) = [
        one
        for one in deployment.ledger.polling.sessions_to_check(False, now + DAY, 10)
        if one.id == "vs_1"
    ]
    deployment.ledger.polling.mark_missing(key, now)
    for _ in range(2):
        count_standings(deployment.stores.engine, now)
    found = needs_of(make)
    assert {kind: str(need.users) for (kind, _), need in found.items()} == {
        "orphans": "1",
        "review": "1",
        "missing": "1",
        "redactions": "1",
    }
    assert [one.reference for one in found["review", None].references] == ["user_1"]
    assert [one.key.id for one in found["redactions", None].sessions] == ["vs_3"]


def test_a_receiver_that_answered_410_is_told(deployment: Deployment, make: Make) -> None:
    deployment.ledger.cursors.set(gone_flag(URL), "410", 1)
    need = needs_of(make, notify_url=URL)["receiver_gone", None]
    assert (need.users, need.command) == (None, "notify test")


def test_who_is_hit_is_told_with_the_standing_after_a_replay(
    deployment: Deployment, make: Make
) -> None:
    deployment.apply(letter("evt_0", "processing", "user-1"), letter("evt_1", "verified", "user-2"))
    deployment.bury(
        letter("evt_2", "processing", "user-2", at=-10), letter("evt_3", "verified", "user-1", at=5)
    )
    hit = make(now=OPENED + 60).rest().hit
    assert hit is not None
    first, second = hit.users
    assert (first.reference, second.reference) == ("user-1", "user-2")
    assert first.before is not None
    assert first.after is not None
    assert (first.before.status, first.after.status) == ("processing", "verified")
    assert not second.changes


def test_how_far_users_came_is_told(deployment: Deployment, make: Make) -> None:
    deployment.apply(letter("evt_1", "processing"))
    for _ in range(2):
        count_standings(deployment.stores.engine, OPENED + 60)
    week = make(now=OPENED + 60).rest().week
    assert week is not None
    assert week.week == {"submitted": 1}


def test_without_a_ledger_the_dead_letters_are_shown(deployment: Deployment, make: Make) -> None:
    deployment.bury(letter("evt_1"))
    rest = make(stores=without_ledger(deployment)).rest()
    assert [need.kind for need in rest.needs] == ["dead_letters"]
    assert (rest.hit, rest.week) == (None, None)
    assert "/nowhere" in rest.faults[0]


def test_without_redis_what_the_ledger_has_is_shown(deployment: Deployment, make: Make) -> None:
    now = int(redis_time(deployment))
    seen = observation("processing", now, reference=None)
    deployment.ledger.apply([seen], policy=None, now=now)
    rest = make(stores=without_redis(deployment)).rest()
    assert [need.kind for need in rest.needs] == ["orphans"]
    assert rest.hit is None
    assert rest.week is not None


def test_all_of_it_is_json(deployment: Deployment, make: Make) -> None:
    deployment.apply(letter("evt_0", "processing"))
    deployment.bury(letter("evt_1"))
    found = json.loads(json.dumps(make().as_json()))
    assert set(found) == {
        "at", "mode", "verdict", "stages", "needs", "hit", "week", "changes", "unread"
    }  # fmt: skip
    assert found["needs"][0]["kind"] == "dead_letters"
    assert found["hit"]["users"][0]["changes"]
    assert found["changes"][0]["reference"]["client_reference_id"] == "user-1"
    assert found["unread"] == []
