"""`identity notify test`: try the configured receivers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import click
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from app.cli.audited import audited
from app.cli.stores import environment_stores
from app.domain.errors import Permanent, Transient
from app.notifications.callback import Delivery
from app.notifications.message import ReferenceChanged, sample
from app.operations.notify import CALLBACK, Receivers
from app.queue.model import EFFECTS
from app.stores import Stores


@click.group()
def notify() -> None:
    """Try the receivers of changes: NOTIFY_URL, SUBSCRIBER, NOTIFY_STREAM."""


@notify.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each receiver.")
def test(as_json: bool) -> None:
    """Send a sample to each configured receiver and say what came back.

    The sample is of client_reference_id `notify-test` and version 0, which no user ever has. A
    receiver that answered 410 before is notified again once it accepts the sample.
    Exit code 1 if one did not accept it, or none is configured.
    """
    # An installed script would not import SUBSCRIBER from the working directory.
    if "" not in sys.path:
        sys.path.insert(0, "")
    with environment_stores() as stores, audited(stores, "test_receivers") as entry:
        receivers = Receivers.of(stores.settings, stores.ledger, stores.redis, time.time)
        if not receivers.senders:
            raise click.ClickException("set NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM first")
        failed = False
        for kind, send in receivers.senders.items():
            took, answer = _try(send, sample(stores.settings.livemode))
            failed |= not took
            name = kind.removeprefix("notify_")
            if as_json:
                click.echo(json.dumps({"receiver": name, "took": took, "answer": answer}))
            else:
                click.echo(f"{name}: {answer}")
            if took and kind == CALLBACK:
                _resume(stores, receivers.gone_flag)
        entry.result = "failed" if failed else "done"
    if failed:
        raise SystemExit(1)


def _try(send: Callable[[ReferenceChanged], object], message: ReferenceChanged) -> tuple[bool, str]:
    """Whether the receiver accepted it, and its answer, within the time limit of an effect."""
    try:
        with UnixSignalDeathPenalty(EFFECTS.time_limit, JobTimeoutException):
            answer = send(message)
    except (Transient, Permanent) as error:
        return False, str(error)
    except JobTimeoutException:
        return False, f"took longer than {EFFECTS.time_limit} s"
    if isinstance(answer, Delivery):
        warning = ", unencrypted: use https://" if answer.unencrypted else ""
        return True, f"{answer.status} in {answer.seconds} s{warning}"
    return True, "took it"


def _resume(stores: Stores, gone_flag: str) -> None:
    """Clear the flag of a receiver that had answered 410."""
    try:
        if stores.ledger.cursors.get(gone_flag):
            stores.ledger.cursors.set(gone_flag, "", int(time.time()))
            click.echo("callback: it had answered 410 and is told again from now on", err=True)
    except (Transient, Permanent) as error:
        raise click.ClickException(f"the ledger does not know that it is back: {error}") from error
