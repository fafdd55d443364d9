"""`identity notify test`: try the configured receivers."""

from __future__ import annotations

import json
import time

import click

from app.cli.context import stores
from app.domain.errors import Permanent, Transient
from app.ledger.telling import Telling
from app.notifications.callback import Told
from app.notifications.message import sample
from app.operations.tell import Receivers, gone_mark


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
    with stores() as opened:
        settings = opened.settings
        receivers = Receivers.of(
            settings, Telling(opened.engine), opened.upkeep, opened.redis, time.time
        )
        if not receivers.senders:
            raise click.ClickException("set NOTIFY_URL, SUBSCRIBER or NOTIFY_STREAM first")
        failed = False
        for kind, send in receivers.senders.items():
            name = kind.removeprefix("notify_")
            try:
                took = send(sample(settings.livemode))
                told = f"{took.status} in {took.seconds} s" if isinstance(took, Told) else "took it"
                if kind == "notify_callback":
                    opened.upkeep.set_mark(gone_mark(settings.notify_url), "", int(time.time()))
            except (Transient, Permanent) as error:
                failed, told = True, str(error)
            click.echo(
                json.dumps({"receiver": name, "took": told}) if as_json else f"{name}: {told}"
            )
    if failed:
        raise SystemExit(1)
