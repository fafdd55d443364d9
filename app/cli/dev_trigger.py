"""`identity dev trigger`: act as one user of the running `dev`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click

from app.cli.dev_env import folder_option, running_in
from app.cli.dev_text import this_command
from app.cli.output import printable, say
from app.domain.standing import next_step
from app.local.trigger import OUTCOMES, Trigger, TriggerFailed
from app.queue.dead_letters import DeadLetter

DEAD_LETTER = "dead_letter"
NOTHING_SUBMITTED = "walk_away"


def _asked_next(outcome: str) -> str:
    if outcome in ("verified", NOTHING_SUBMITTED):
        return {"verified": "none", NOTHING_SUBMITTED: "submit"}[outcome]
    return next_step("requires_input", outcome)


def _outcomes() -> str:
    """The help's list of outcomes; the mark keeps click from filling the lines."""
    rows = [f"    {outcome:<38}{_asked_next(outcome)}" for outcome in OUTCOMES]
    rows.append(f"    {DEAD_LETTER:<38}dead letters to replay")
    return "\n".join(["The outcomes, and the standing's `next_step` after each:", "", "\b", *rows])


@click.command()
@click.argument("outcome", type=click.Choice([*OUTCOMES, DEAD_LETTER]), metavar="OUTCOME")
@click.option("--reference", help="Whose (client_reference_id).  [default: a new user's]")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def trigger(outcome: str, reference: str | None, folder: Path, as_json: bool) -> None:
    """Start a verification for a user, have it end in OUTCOME, and print the user's standing.

    It goes the whole way, as in production: a session through our API, the person's submission at
    the local Stripe, its signed events, the queue, the ledger. One that is open is resumed, and a
    user who is verified goes through it once more.
    """
    reference = f"user_{secrets.token_hex(4)}" if reference is None else reference
    running = running_in(folder)
    letters: Sequence[DeadLetter] = ()
    try:
        person = Trigger(running)
        session = person.open(reference)
        if outcome == DEAD_LETTER:
            letters = person.bury_verified(session)
            record = person.record(reference)
        else:
            person.submit(session, outcome)
            record = person.await_record(reference, session)
    except TriggerFailed as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        say(json.dumps(_as_json(outcome, session, record, letters)))
        return
    say(_sentence(record["standing"], reference))
    ours = next(each for each in record["sessions"] if each["id"] == session)
    say(f"  {session}: {_status(ours)}")
    if letters:
        say(_about_letters(session, len(letters), this_command(folder)))


trigger.help = f"{cleandoc(trigger.help or '')}\n\n{_outcomes()}"


def _as_json(
    outcome: str, session: str, record: dict[str, Any], letters: Sequence[DeadLetter]
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "client_reference_id": record["client_reference_id"],
        "session_id": session,
        "standing": record["standing"],
        "dead_letters": [letter.id for letter in letters],
    }


def _sentence(standing: dict[str, Any], reference: str) -> str:
    parts = [_status(standing), f"next step {standing['next_step']}"]
    if standing["attempts"]:
        parts.append(f"failed attempts {standing['attempts']}")
    return f"{printable(reference)}: {', '.join(parts)}"


def _status(shown: dict[str, Any]) -> str:
    code = shown["last_error_code"]
    return f"{shown['status']} ({code})" if code else str(shown["status"])


def _about_letters(session: str, count: int, dev: str) -> str:
    identity = dev.partition(" dev")[0]
    return f"""
Stripe says verified. But the ledger refused {count} of its events, as a broken database would,
and they are dead letters now. The ledger is mended: nothing keeps them from being replayed.

  eval "$({dev} env)"
  {identity} dlq list                                  # what failed, and why
  {identity} dlq replay --session {session} --dry-run
  {identity} dlq replay --session {session}"""
