"""`identity orphans`: sessions that name no reference, and claims of them."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import TextIO

import click
from rich.table import Table

from app.cli.audited import audited
from app.cli.options import account_option, chosen_mode, mode_option
from app.cli.output import format_time, printable, table_console
from app.cli.stores import environment_stores
from app.domain.session import Session
from app.domain.snapshot import SessionKey
from app.operations.claim_orphan import Claims, metadata_key_of, summary
from app.operations.orphan_page import orphan_page


@click.group()
def orphans() -> None:
    """List the sessions that name no reference, and claim them for one.

    A session is an orphan if it was created without a client_reference_id, and none of
    REFERENCE_METADATA_KEYS is in its metadata.
    """


@orphans.command("list")
@mode_option
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows shown."
)
@click.option("--after", default="", help="Start after this session.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: data, has_more.")
def list_orphans(live: bool | None, limit: int, after: str, as_json: bool) -> None:
    """Show the orphans, by id.

    Next: `orphans claim SESSION REFERENCE`.
    """
    with environment_stores() as stores:
        page = orphan_page(
            stores.ledger.orphans, livemode=chosen_mode(stores, live), limit=limit, after=after
        )
    if as_json:
        click.echo(json.dumps(page.as_json()))
        return
    if not page.sessions:
        click.echo("No orphans." if not after else "No more orphans.")
        return
    table_console().print(_table(page.sessions))
    if page.has_more:
        click.echo(f"There are more: --after {page.sessions[-1].id}")


def _table(sessions: Sequence[Session]) -> Table:
    table = Table(box=None)
    for heading in ("session", "status", "created", "last error", "redaction"):
        table.add_column(heading, overflow="fold")
    for session in sessions:
        snapshot = session.snapshot
        table.add_row(
            session.id,
            session.status,
            format_time(snapshot.created),
            snapshot.last_error_code or "-",
            snapshot.redaction or "-",
        )
    return table


@orphans.command()
@click.argument("session", required=False)
@click.argument("reference", required=False)
@click.option("--file", "pairs", type=click.File("r", "utf-8-sig"), help="CSV: session,reference.")
@mode_option
@account_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for each session.")
def claim(
    session: str | None,
    reference: str | None,
    pairs: TextIO | None,
    live: bool | None,
    account: str,
    as_json: bool,
) -> None:
    """Make SESSION count for REFERENCE, or each pair of a file.

    The reference is also written to the session's metadata at Stripe, so that later events carry
    it. Stripe accepts that only while the session requires input; the claim holds either way. It
    can be run twice. Exit code 1 if a session does not count for its reference.
    """
    if (pairs is None) == (session is None) or (session is None) != (reference is None):
        raise click.UsageError("name a SESSION and its REFERENCE, or give --file")
    wanted = _read_pairs(pairs) if pairs is not None else iter([(str(session), str(reference))])
    failed = total = 0
    with environment_stores() as stores:
        livemode = chosen_mode(stores, live)
        claims = Claims(stores, metadata_key=metadata_key_of(stores.settings), now=time.time)
        for session_id, claimed_for in wanted:
            with audited(stores, "claim", session_id=session_id, account=account) as entry:
                entry.about(reference=claimed_for, livemode=livemode)
                result = claims.claim(SessionKey(session_id, account, livemode), claimed_for)
                entry.result = "done" if result.counts else f"refused: {result.outcome}"
            total += 1
            failed += not result.counts
            click.echo(json.dumps(asdict(result)) if as_json else printable(summary(result)))
    if pairs is not None and not as_json:
        click.echo(f"{total - failed} of {total} sessions count for their references.")
    if failed:
        raise SystemExit(1)


def _read_pairs(file: TextIO) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a CSV file; a first line of headings is skipped."""
    lines = csv.reader(file)
    first = next(lines, None)
    headed = first is not None and first[:1] == ["session"]
    for number, row in enumerate(chain([] if first is None or headed else [first], lines), 1):
        if not row:
            continue
        if len(row) != 2:
            raise click.ClickException(f"line {number + headed} is not session,reference")
        yield row[0].strip(), row[1].strip()
