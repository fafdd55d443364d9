"""`identity notify test`: try the configured receivers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import click
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from app.cli.context import Stores, stores
from app.domain.errors import Permanent, Transient
from app.ledger.telling import Telling
from app.notifications.callback import Told
from app.notifications.message import ReferenceChanged, sample
from app.operations.tell import Receivers
from app.queue.model import EFFECTS


@click.group()
def notify() -> None:
    """How the team's own system is told: NOTIFY_URL, SUBSCRIBER, NOTIFY_STREAM."""


@notify.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a receiver.")
def test(as_json: bool) -> None:
    """Send a sample to each configured receiver and say what came back.

    The sample is of client_reference_id `notify-test` and version 0, which no user ever has. A
    receiver that had answered 410 is told again from then on, once it takes the sample.
    Exit code 1 where one did not take it, or none is configured.
    """
    if "" not in sys.path:
        sys.path.insert(0, "")  # an installed script does not look for SUBSCRIBER where it is run
    with stores() as opened:
        receivers = _receivers(opened)
        if not receivers.senders:
            raise click.ClickException("set NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM first")
        failed = False
        for kind, send in receivers.senders.items():
            took, answer = _try(send, sample(opened.settings.livemode))
            failed |= not took
            name = kind.removeprefix("notify_")
            if as_json:
                click.echo(json.dumps({"receiver": name, "took": took, "answer": answer}))
            else:
                click.echo(f"{name}: {answer}")
            if took and kind == "notify_callback":
                _begin_again(opened, receivers.gone_mark)
    if failed:
        raise SystemExit(1)


def _receivers(opened: Stores) -> Receivers:
    telling = Telling(opened.engine)
    return Receivers.of(opened.settings, telling, opened.ledger.upkeep, opened.redis, time.time)


def _try(send: Callable[[ReferenceChanged], object], message: ReferenceChanged) -> tuple[bool, str]:
    """Whether the receiver took it, and what it said; under the time limit of an effect."""
    try:
        with UnixSignalDeathPenalty(EFFECTS.time_limit, JobTimeoutException):
            came = send(message)
    except (Transient, Permanent) as error:
        return False, str(error)
    except JobTimeoutException:
        return False, f"took longer than {EFFECTS.time_limit} s"
    return True, f"{came.status} in {came.seconds} s" if isinstance(came, Told) else "took it"


def _begin_again(opened: Stores, gone_mark: str) -> None:
    """A receiver that wanted no more takes messages again."""
    try:
        if opened.ledger.upkeep.mark(gone_mark):
            opened.ledger.upkeep.set_mark(gone_mark, "", int(time.time()))
            click.echo("callback: it had answered 410 and is told again from now on", err=True)
    except (Transient, Permanent) as error:
        raise click.ClickException(f"the ledger does not know that it is back: {error}") from error
