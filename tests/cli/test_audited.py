"""Commands that change something leave an entry, and those that do not leave none."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from structlog.testing import capture_logs

from app.cli.audited import audited, ids_of, result_of
from app.cli.who import user_at_host, user_name
from app.domain.errors import Conflict, QueueUnavailable
from app.ledger.audit import Audit, AuditEntry
from app.ledger.engine import LedgerUnavailable
from app.operations.forget_reference import StillAtStripe
from app.stripe.errors import ErrorAnswer, StripeRefused, StripeUnavailable
from tests.cli.dlq.letters import bury_five
from tests.cli.test_orphans import orphan
from tests.support.account import Account
from tests.support.cli import Run
from tests.support.deployment import Deployment, letter

Entries = Callable[[], list[AuditEntry]]

USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def entries(deployment: Deployment) -> Entries:
    """All of the audit, oldest first."""
    return lambda: deployment.stores.audit.page(None, 100)[::-1]


@pytest.fixture
def newest(entries: Entries) -> Callable[[], AuditEntry]:
    """The one entry that there is."""

    def only() -> AuditEntry:
        (entry,) = entries()
        return entry

    return only


Newest = Callable[[], AuditEntry]


def test_a_discard_says_who_why_which_and_how_many(
    deployment: Deployment, run: Run, newest: Newest
) -> None:
    bury_five(deployment)
    run("dlq", "discard", "--yes", "evt_1", "evt_2", "--why", "sent by a test")
    entry = newest()
    assert (entry.who, entry.via, entry.action) == (USER, "cli", "discard")
    assert entry.target == {"queue": "events", "ids": "evt_1, evt_2"}
    assert (entry.reason, entry.result) == ("sent by a test", "done: 2 discarded")


def test_letters_that_are_selected_are_named_by_the_filters(
    deployment: Deployment, run: Run, newest: Newest
) -> None:
    deployment.apply(letter("evt_0", reference="user-1"))
    bury_five(deployment)
    filters = ("--reference", "user-1", "--reason", "permanent_error", "--older-than", "90s")
    run("dlq", "discard", "--yes", "--why", "x", *filters)
    assert newest().target == {
        "queue": "events",
        "reference": "user-1",
        "livemode": "false",
        "died_of": "permanent_error",
        "older_than": "90s",
    }


def test_a_no_a_wrong_call_and_nothing_to_do_leave_no_entry(
    deployment: Deployment, run: Run, entries: Entries
) -> None:
    bury_five(deployment)
    run("dlq", "discard", "evt_1", "--why", "x", typed="n\n")
    run("dlq", "discard", "--why", "x")
    run("dlq", "discard", "--yes", "--why", "x", "--status", "canceled", "--reference", "nobody")
    run("queue", "resume")
    run("dlq", "list")
    run("dlq", "replay", "--dry-run")
    assert entries() == []


def test_a_pause_and_its_end_are_entries(run: Run, entries: Entries) -> None:
    run("queue", "pause", "--reason", "database upgrade")
    run("queue", "resume")
    assert [(one.action, one.reason, one.result) for one in entries()] == [
        ("pause", "database upgrade", "done"),
        ("resume", "", "done"),
    ]


def test_without_a_ledger_a_pause_holds_and_says_that_it_is_no_entry(run: Run) -> None:
    ran = run("queue", "pause", DATABASE_URL="")
    assert (ran.code, ran.err) == (0, "DATABASE_URL is not set: the audit has no entry of this\n")


def test_a_pause_holds_though_the_ledger_is_away_and_the_log_has_it(
    run: Run, tmp_path: Path
) -> None:
    with capture_logs() as logs:
        ran = run("queue", "pause", DATABASE_URL=f"sqlite:///{tmp_path / 'no' / 'ledger.db'}")
    assert ran.code == 0
    (line,) = [line for line in logs if line["event"] == "not in the audit"]
    assert line.items() >= {"action": "pause", "via": "cli", "result": "done"}.items()


def test_what_the_ledger_was_away_for_is_an_entry_if_it_is_back(
    deployment: Deployment, newest: Newest
) -> None:
    with pytest.raises(LedgerUnavailable), audited(deployment.stores, "sweep"):
        raise LedgerUnavailable("it does not answer", "deadlock")
    assert newest().result == "failed: deadlock"


def test_what_the_ledger_is_away_for_is_said_once(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise LedgerUnavailable("it does not answer")

    monkeypatch.setattr(Audit, "record", away)
    with capture_logs() as logs, pytest.raises(LedgerUnavailable), audited(deployment.stores, "x"):
        away()
    assert logs == []


def test_an_attempt_that_is_granted_names_the_user_and_the_reason(
    deployment: Deployment, run: Run, newest: Newest
) -> None:
    deployment.apply(letter("evt_1", "requires_input", "user-1"))
    run("references", "allow", "user-1", "--test", "--reason", "passport renewed")
    entry = newest()
    assert (entry.action, entry.reason) == ("allow_attempt", "passport renewed")
    assert entry.target == {"reference": "user-1", "livemode": "false"}


def test_that_somebody_was_forgotten_stays_and_who_it_was_does_not(
    deployment: Deployment, run: Run, entries: Entries
) -> None:
    deployment.apply(letter("evt_1", "processing", "user-1", session="vs_1"))
    run("references", "allow", "user-1", "--reason", "for user-1")
    refused = run("references", "forget", "user-1", "--yes")
    assert refused.code == 1
    assert entries()[-1].result == "refused: StillAtStripe"
    assert entries()[-1].target["reference"] == "user-1"
    assert run("references", "forget", "user-1", "--yes", "--force").code == 0
    assert [one.action for one in entries()] == [
        *("allow_attempt", "forget_reference", "forget_reference")
    ]
    assert [one.target["reference"] for one in entries()] == [None] * 3
    with deployment.stores.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM audit").all()
    assert "user-1" not in str(rows)
    assert [row.reference_key for row in rows] == ["", "", ""]


def test_each_claim_is_an_entry_with_its_result(
    account: Account, run: Run, entries: Entries
) -> None:
    session = orphan(account)
    run("orphans", "claim", session, "user-1")
    run("orphans", "claim", "vs_nosuch", "user-1")
    user = {"reference": "user-1", "livemode": "false"}
    assert [(one.action, one.target, one.result) for one in entries()] == [
        ("claim", {"session_id": session, **user}, "done"),
        ("claim", {"session_id": "vs_nosuch", **user}, "refused: unknown_session"),
    ]


def test_commands_that_ask_stripe_are_entries_with_what_they_found(
    account: Account, run: Run, entries: Entries
) -> None:
    account.verified("user-1")
    run("backfill", "--since", "1d")
    run("import")
    account.work()
    run("references", "refresh", "user-1")
    run("references", "redact", "user-1", "--yes")
    found = {one.action: one for one in entries()}
    assert found["backfill"].result.startswith("done: ")
    assert found["import"].result.startswith("done: ")
    assert found["refresh_reference"].target["reference"] == "user-1"
    assert found["redact_reference"].result.endswith(" asked for")


def test_a_migration_is_an_entry_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = {"DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    for _ in range(2):
        assert run("migrate", **ledger).code == 0
    (entry,) = run("audit", "list", "--json", **ledger).object["data"]
    assert (entry["action"], entry["result"]) == ("migrate", "done")
    assert "0002" in entry["target"]["revisions"]


def test_a_command_that_is_broken_off_is_an_entry(deployment: Deployment, newest: Newest) -> None:
    with pytest.raises(KeyboardInterrupt), audited(deployment.stores, "discard"):
        raise KeyboardInterrupt
    assert newest().result == "failed: interrupted"


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Conflict("reference_verified", "x"), "refused: reference_verified"),
        (StillAtStripe("x"), "refused: StillAtStripe"),
        (QueueUnavailable("x", "connection_refused"), "failed: connection_refused"),
        (
            StripeRefused("x", ErrorAnswer(404, {"code": "resource_missing"})),
            "refused: 404 resource_missing",
        ),
        (StripeUnavailable("x"), "failed: no answer"),
        (click.ClickException("quotes user-1"), "failed"),
        (SystemExit(1), "failed"),
        (ValueError("user-1"), "failed: ValueError"),
    ],
)
def test_a_result_is_told_in_codes(error: BaseException, result: str) -> None:
    assert result_of(error) == result


def test_many_ids_are_told_by_their_number() -> None:
    ids = [f"evt_{number}" for number in range(22)]
    assert ids_of(ids).endswith("evt_19 and 2 more")


def test_whoever_is_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert user_name() == USER
    monkeypatch.setenv("SUDO_USER", USER)
    assert user_name() == USER
    monkeypatch.setenv("SUDO_USER", "anna")
    assert user_name() == f"{USER} (sudo: anna)"
    assert user_at_host().startswith(f"{USER} (sudo: anna)@")


@pytest.mark.parametrize("variable", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_nobody_is_another_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "ben")
    assert "ben" not in user_name()


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert user_name() == "uid 4000000000"
