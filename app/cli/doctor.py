"""`identity doctor`: what is wrong with this deployment, and what to do about it."""

from __future__ import annotations

import json
import os

import click

from app.doctor.result import Finding, worst
from app.doctor.result import as_json as findings_as_json
from app.doctor.runner import examine

COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object: state, checks.")
def doctor(as_json: bool) -> None:
    """Check settings, Redis, workers, database, clocks, keys and Stripe's webhook endpoint.

    Run it where the product runs, with its environment. It writes to both stores and takes that
    back. Exit code 1 if something is wrong; warnings alone give 0.
    """
    findings = examine(os.environ)
    if as_json:
        click.echo(json.dumps(findings_as_json(findings)))
    else:
        for finding in findings:
            click.echo(line_of(finding))
    if worst(findings) == "wrong":
        raise SystemExit(1)


def line_of(finding: Finding) -> str:
    """One line of text; click omits the colour if the output is not a terminal."""
    state = click.style(f"{finding.state:<7}", fg=COLOURS[finding.state])
    text = f"{finding.message}. {finding.hint}".strip()
    # It may quote a server, whose line breaks and escapes must not reach the terminal.
    text = "".join(c if c.isprintable() else "?" for c in text)
    return f"{state}  {finding.name:<20}  {text}"
