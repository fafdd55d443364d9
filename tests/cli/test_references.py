"""`references show`: how a user stands, and why, as a person reads it."""

from __future__ import annotations

from typing import Any

from app.domain.event import SessionEvent
from app.domain.snapshot import SessionKey
from app.operations.apply import apply_observations
from app.operations.show_reference import as_json
from tests.support.account import Account
from tests.support.cli import Run
from tests.support.events import OPENED, event_body


def lived(account: Account, reference: str = "user-1", session: str = "vs_1") -> None:
    """A failed attempt and a success."""
    life: list[tuple[str, str, dict[str, Any]]] = [
        ("created", "requires_input", {}),
        ("requires_input", "requires_input", {"error": "abandoned", "report": "vr_1"}),
        ("verified", "verified", {"report": "vr_2"}),
    ]
    for number, (name, status, fields) in enumerate(life):
        body = event_body(
            name,
            status,
            id=f"evt_{session}_{number}",
            at=OPENED + number,
            session=session,
            reference=reference,
            **fields,
        )
        event = SessionEvent.parse(body)
        assert event is not None
        apply_observations([event.observation()], account.context.stores, account.context.now())


def test_a_reference_is_shown_with_its_sessions_and_its_timeline(
    account: Account, run: Run
) -> None:
    lived(account)
    done = run("references", "show", "user-1")
    assert done.code == 0
    assert "user-1 (test mode)" in done.out
    assert "status           verified" in done.out
    assert "2023-11-14 22:13:22" in done.out
    lines = [line for line in done.out.splitlines() if "evt_vs_1_" in line]
    assert [line.split()[-1] for line in lines] == ["evt_vs_1_0", "evt_vs_1_1", "evt_vs_1_2"]
    assert "requires_input (abandoned)" in lines[1]


def test_json_is_what_http_answers(account: Account, run: Run) -> None:
    lived(account)
    record = account.context.stores.ledger.read_reference("user-1", livemode=False)
    assert record is not None
    assert run("references", "show", "user-1", "--json").object == as_json(record)


def test_a_session_that_stripe_does_not_know_is_marked(account: Account, run: Run) -> None:
    lived(account)
    account.context.stores.ledger.polling.mark_missing(SessionKey("vs_1", "", False), 1)
    assert "vs_1 (not known to Stripe)" in run("references", "show", "user-1").out
    shown = run("references", "show", "user-1", "--json").object
    assert shown["sessions"][0]["missing"] is True


def test_a_reference_nobody_knows_is_one_line_and_exit_code_1(run: Run) -> None:
    done = run("references", "show", "nobody", "--live")
    assert (done.code, done.out) == (1, "")
    assert "is known in live mode" in done.err


def test_a_reference_cannot_write_to_the_terminal(account: Account, run: Run) -> None:
    lived(account, reference="\x1b[2J[red]odd[/]")
    done = run("references", "show", "\x1b[2J[red]odd[/]")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "[2J[red]odd[/] (test mode)" in done.out
