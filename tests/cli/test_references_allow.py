"""`references allow`: a user may try once more, and why stays in the timeline."""

from __future__ import annotations

from app.operations.apply import apply_observations
from tests.support.account import Account
from tests.support.cli import Run
from tests.support.ledger import observation


def failed(account: Account, *times: int, purpose: str = "") -> None:
    for at in times:
        seen = observation("requires_input", at, error="document_expired", purpose=purpose)
        apply_observations([seen], account.context.stores, account.context.now())


def test_one_more_attempt_is_allowed_with_its_reason(account: Account, run: Run) -> None:
    failed(account, 100, 110)
    done = run("references", "allow", "user_1", "--reason", "passport renewed", MAX_ATTEMPTS="2")
    assert done.code == 0
    assert "user_1 (test mode): 2 failed attempts count, of 3 allowed now." in done.out
    shown = run("references", "show", "user_1", "--json").object
    assert shown["standing"]["attempts_granted"] == 1
    line = shown["timeline"][-1]
    assert (line["cause"], line["note"]) == ("allowed", "passport renewed")
    assert "allowed: passport renewed" in " ".join(run("references", "show", "user_1").out.split())


def test_the_record_is_given_as_json(account: Account, run: Run) -> None:
    failed(account, 100, purpose="driver")
    done = run("references", "allow", "user_1", "--reason", "x", "--purpose", "driver", "--json")
    assert (done.object["purpose"], done.object["standing"]["attempts_granted"]) == ("driver", 1)


def test_where_there_is_no_limit_it_says_so(account: Account, run: Run) -> None:
    failed(account, 100)
    assert "MAX_ATTEMPTS is not set" in run("references", "allow", "user_1", "--reason", "x").out


def test_a_user_never_seen_is_one_line(account: Account, run: Run) -> None:
    done = run("references", "allow", "user_9", "--reason", "x")
    assert done.code == 1
    assert "no session of this client_reference_id is known in test mode" in done.err


def test_a_reason_has_to_be_given(account: Account, run: Run) -> None:
    failed(account, 100)
    assert run("references", "allow", "user_1").code == 2
    for reason in ("", " ", "x" * 501):
        done = run("references", "allow", "user_1", "--reason", reason)
        assert done.code == 2
        assert "has to have 1 to 500 characters" in done.err
